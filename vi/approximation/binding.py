"""What a fit's data are: the model's own, batches in their place, or rows from a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pytensor.compile.sharedvalue import SharedVariable

from vi.data import Minibatch
from vi.targets.scaling import Setting

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["bind"]


def bind(approx: Approximation, replacements: Mapping[Any, Any], data: Any, batch_size: int | None, scale: Any) -> None:
    """Say which data the fits to come are made on, and which everything else is."""
    setting, full, stream = Setting(True, dict(replacements), scale), Setting(training=False), None
    if data is None and batch_size is not None:
        raise TypeError("batch_size says how many rows of data= a step takes; give data=, or use vi.Minibatch.")
    if data is not None and approx._local and not _in_memory(data):
        raise TypeError(
            "Local variables need data in memory, of which every row has its number; a stream of data= has none. Give "
            "fit a dict of arrays, or leave local and encoder out of the groups."
        )
    if data is not None and _in_memory(data):
        arrays = {_container(approx, name): np.asarray(value) for name, value in data.items()}
        _check_rows(approx, {c.name: array for c, array in arrays.items()})
        shared = {c: pytensor.shared(array.astype(c.dtype, copy=False), borrow=True) for c, array in arrays.items()}
        if batch_size is None:
            setting = Setting(True, {**replacements, **shared}, scale)
        else:
            made = Minibatch(*shared.values(), batch_size=batch_size)
            batches = made if isinstance(made, tuple) else (made,)
            setting = Setting(True, {**replacements, **dict(zip(shared, batches, strict=True))}, scale)
        full = Setting(False, shared)
    approx._setting, approx._full, approx._stream = setting, full, stream


def _in_memory(data: Any) -> bool:
    """Whether data are a dict of arrays in memory."""
    return isinstance(data, Mapping) and not any(isinstance(value, np.memmap | str) for value in data.values())


def _container(approx: Approximation, name: Any) -> Any:
    """The model's data container of that name."""
    containers = {v.name: v for v in approx.model.data_vars if isinstance(v, SharedVariable)}
    key = getattr(name, "name", name)
    if key not in containers:
        known = ", ".join(map(repr, containers)) or "none"
        raise ValueError(
            f"data has rows for {key!r}, which is no pm.Data container of the model. Its containers: {known}."
        )
    return containers[key]


def _check_rows(approx: Approximation, arrays: Mapping[str, np.ndarray]) -> None:
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r}: {n}" for name, n in lengths.items())
        raise ValueError(f"The arrays of data= have different lengths: {listed}.")
