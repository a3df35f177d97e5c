"""Hashes of a model's data, by which others are told from the same ones set again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable

from vi.targets.model.facts import fact, watched

__all__ = ["data_hashes", "data_variables", "hash_of_array", "set_since"]


def data_variables(model: pm.Model) -> dict[str, SharedVariable]:
    """The shared variables that hold a model's data, by name; of one name, numbered."""
    found: dict[str, SharedVariable] = {}
    for variable in sorted(watched(model), key=lambda variable: variable.name or ""):
        name = variable.name or "a shared variable"
        number = sum(known.partition(" #")[0] == name for known in found)
        found[f"{name} #{number + 1}" if number else name] = variable
    return found


def hash_of_array(value: Any) -> str:
    """A hash of an array: its type, its shape and its entries."""
    array = np.ascontiguousarray(value)
    digest = hashlib.sha256(f"{array.dtype} {np.shape(value)} ".encode())
    if array.dtype.hasobject:
        digest.update(repr(array.tolist()).encode())
    else:
        digest.update(memoryview(array.reshape(-1).view(np.uint8)))  # without a copy
    return digest.hexdigest()[:16]


def data_hashes(model: pm.Model) -> dict[str, str]:
    """Hashes of what a model's shared variables hold, by name; a pass over data set since alone."""
    return fact(model, "hashes of data", lambda: _hashes(model))


def _hashes(model: pm.Model) -> dict[str, str]:
    held = {name: each.get_value(borrow=True) for name, each in data_variables(model).items()}
    known = {n: v for n, v in held.items() if isinstance(v, np.ndarray | np.generic | float | int)}
    return {name: hash_of_array(value) for name, value in known.items()}


def set_since(model: pm.Model, stored: Mapping[str, str]) -> list[str]:
    """Names of data that are others than those of stored hashes; none where nothing was stored.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model() as model:
    ...     x = pm.Data("x", [1.0, 2.0])
    ...     y = pm.Normal("y", x, shape=2)
    >>> before = data_hashes(model)
    >>> pm.set_data({"x": [1.0, 3.0]}, model)
    >>> set_since(model, before)
    ['x']
    >>> pm.set_data({"x": [1.0, 2.0]}, model)
    >>> set_since(model, before)
    []
    """
    if not stored:
        return []
    present = data_hashes(model)
    return [name for name, hashed in stored.items() if present.get(name) != hashed]
