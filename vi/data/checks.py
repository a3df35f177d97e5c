"""What is looked at in all rows that are read: shapes, and NaN."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vi.data.base import Arrays, DataError, Field

__all__ = ["NAN", "check_rows", "without_nan"]

NAN = ("raise", "drop", "allow")
"""What is done about rows with NaN."""


def check_rows(arrays: Arrays, fields: Mapping[str, Field], n: int, origin: str) -> None:
    """Refuse what a source of a user's own may get wrong."""
    for name, field in fields.items():
        if name not in arrays:
            raise DataError(f"{origin}: take() returned {sorted(arrays)}; {name!r} is missing.")
        value = arrays[name]
        if value.shape != (n, *field.shape) or value.dtype.kind != field.dtype.kind:
            raise DataError(
                f"{origin}: take() returned {name!r} as {value.dtype} of shape {value.shape}; {field.dtype} of shape "
                f"{(n, *field.shape)} was to come."
            )


def without_nan(arrays: Arrays, first: int, nan: str, origin: str) -> Arrays:
    """The rows to keep: all, or those without NaN; ``first`` is the number of the first row, for the message."""
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
    """Whether there may be a NaN: the sum of a NaN is one (as is that of opposite infinities), in one quick pass."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(value.sum()))


def _nan(value: np.ndarray) -> np.ndarray:
    return np.isnan(value).reshape(len(value), -1).any(axis=1)
