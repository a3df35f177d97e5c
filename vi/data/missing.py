"""Rows with NaN: found without a copy of the data, refused or left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, DataError

__all__ = [
    "NAN",
    "check_nan_policy",
    "refuse_masked",
    "refuse_nan",
    "rows_with_nan",
    "without_nan",
    "without_nan_rows",
]

BLOCK_BYTES = 2**24


def check_nan_policy(nan: str) -> None:
    """Refuse an unknown policy."""
    if nan not in NAN:
        raise ValueError(f"nan={nan!r} is unknown; use 'raise', 'drop' or 'allow'.")


def rows_with_nan(array: np.ndarray) -> np.ndarray:
    """Numbers of the rows (first axis) in which some entry is NaN."""
    if array.dtype.kind != "f" or not array.size:
        return np.empty(0, np.int64)
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    found = []
    for start in range(0, len(array), rows):
        bad = np.isnan(array[start : start + rows])
        found.append(start + np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1)))
    return np.concatenate(found)


def without_nan_rows(arrays: Mapping[Any, np.ndarray]) -> list[np.ndarray]:
    """The arrays without the rows in which one of them has a NaN."""
    bad = np.unique(np.concatenate([rows_with_nan(array) for array in arrays.values()]))
    if not len(bad):
        return list(arrays.values())
    return [np.delete(array, bad, axis=0) for array in arrays.values()]


def refuse_masked(array: Any, what: str) -> None:
    """Refuse masked arrays: what is under the mask would be read as data."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            f"{what} is a masked array. Fill its gaps or leave those rows out: imputing needs all the rows."
        )


def refuse_nan(arrays: Sequence[np.ndarray]) -> None:
    """Refuse arrays with NaN, naming the rows."""
    for i, array in enumerate(arrays):
        bad = rows_with_nan(array)
        if len(bad):
            raise ValueError(
                f"Array {i} of vi.Minibatch has NaN in {len(bad)} of {len(array)} rows, first in "
                f"{', '.join(map(str, bad[:5]))}. nan='drop' leaves such rows out; nan='allow' keeps them."
            )


NAN = ("raise", "drop", "allow")
"""What is done about rows with NaN."""


def without_nan(arrays: Arrays, first: int, nan: str, origin: str) -> Arrays:
    """The rows to keep: all, or those without NaN; ``first`` is the number of the first row, for
    the message.
    """
    if nan == "allow":
        return arrays
    for name, value in arrays.items():
        if value.dtype.kind in "fc" and _suspect(value) and (found := _nan(value)).any():
            if nan == "drop":
                break
            rows = first + np.flatnonzero(found)
            listed = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
            raise DataError(
                f"{origin}: field {name!r} is NaN in row{'s' if len(rows) > 1 else ''} {listed}. Fill or remove them, "
                "or say nan='drop' to leave such rows out, nan='allow' to take them as they are."
            )
    else:
        return arrays
    keep = np.ones(len(next(iter(arrays.values()))), bool)
    for value in arrays.values():
        if value.dtype.kind in "fc":
            keep &= ~_nan(value)
    return {name: value[keep] for name, value in arrays.items()}


def _suspect(value: np.ndarray) -> bool:
    """Whether there may be a NaN: the sum of a NaN is one (as is that of opposite infinities),
    in one quick pass.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(value.sum()))


def _nan(value: np.ndarray) -> np.ndarray:
    return np.isnan(value).reshape(len(value), -1).any(axis=1)
