"""Rows with NaN: found without a copy of the data, refused or left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vi.data.checks import NAN

__all__ = ["check_nan_policy", "rows_with_nan", "without_nan_rows"]

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
