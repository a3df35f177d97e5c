"""PyTensor's JAX dispatch, imported without what its import does to the process."""

from __future__ import annotations

import sys
import types
import warnings
from typing import Any

import jax
import pytensor

BASIC, PACKAGE = "pytensor.link.jax.dispatch.basic", "pytensor.link.jax.dispatch"
ENTRANCES = ("jax_funcify", "jax_typify")
"""What everybody takes from the dispatch who wants JAX code of a graph: the linker of
``mode="JAX"``, PyMC's JAX samplers, whoever registers an operation of their own."""

_first = BASIC not in sys.modules
_x64 = bool(jax.config.jax_enable_x64)

# Importing it sets JAX's 64-bit switch for the process, according to floatX. It imports NumPyro
# too, where there is one, whose bar warns in notebooks without widgets, and fails there when used.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="IProgress not found")
    from pytensor.link.jax.dispatch import jax_funcify
    from pytensor.link.jax.dispatch.shape import JAXShapeTuple

__all__ = ["JAXShapeTuple", "jax_funcify"]


class _Untouched(types.ModuleType):
    """A module of the dispatch that nobody but this library has used yet.

    The switch waits until somebody else takes an entrance, who would have imported the dispatch
    then, had it not been imported here. Names inside the module are looked up in its ``__dict__``,
    not here.
    """

    def __getattribute__(self, name: str) -> Any:
        if name in ENTRANCES:
            _as_if_imported_now()
        return types.ModuleType.__getattribute__(self, name)


def _as_if_imported_now() -> None:
    """Do to the process what the import did, and stop waiting."""
    for name in (BASIC, PACKAGE):
        sys.modules[name].__class__ = types.ModuleType
    jax.config.update("jax_enable_x64", pytensor.config.floatX == "float64")


if _first:
    jax.config.update("jax_enable_x64", _x64)
    for _name in (BASIC, PACKAGE):
        sys.modules[_name].__class__ = _Untouched
