"""Shared variables whose values follow from those of others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

from vi.targets.model.data_watch import DataWatch

__all__ = ["Derivation", "DerivedVariable", "derived"]


class Derivation:
    """A function of data, computed anew when one of them holds another array.

    Parameters
    ----------
    sources : sequence of SharedVariable
        What may change.
    compute : callable
        Returns the values, a tuple of arrays.
    """

    def __init__(
        self,
        sources: Sequence[SharedVariable],
        compute: Callable[[], tuple[np.ndarray, ...]],
        values: tuple[np.ndarray, ...],
    ) -> None:
        self.sources = tuple(sources)
        self._compute, self._values = compute, values
        self._watch = DataWatch(sources)
        self._lock = threading.Lock()

    def values(self) -> tuple[np.ndarray, ...]:
        """The values for the present data."""
        with self._lock:
            if self._watch.changed():
                self._values = self._compute()
                self._watch.accept()
            return self._values


class DerivedVariable(TensorSharedVariable):
    """One of the values of a :class:`Derivation`, to read like any shared variable."""

    derivation: Derivation | None = None
    place: int = 0

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """The value for the present data."""
        if self.derivation is not None:
            self.container.storage[0] = self.derivation.values()[self.place]
        return super().get_value(borrow, return_internal_type)


def derived(derivation: Derivation, names: Sequence[str | None]) -> list[DerivedVariable]:
    """Variables for the values of a derivation, whose number of rows is open."""
    variables = []
    for place, (value, name) in enumerate(zip(derivation.values(), names, strict=True)):
        kind = TensorType(value.dtype, shape=(None, *value.shape[1:]))
        variable = DerivedVariable(kind, value, strict=True, name=name)
        variable.derivation, variable.place = derivation, place
        variable.tag.lifted = True  # moved to a device once, and again when it is another array
        variables.append(variable)
    return variables
