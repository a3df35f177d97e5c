"""Arrays that users give as data: dense ones of plain numbers, in the machine's byte order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vi.foundation.numbers import shown

__all__ = ["Arrays", "dtype_from", "first_not_finite", "plain_array", "refuse_masked"]

type Arrays = Mapping[str, np.ndarray]
"""Arrays by their names."""

WIDEST = {"f": 8, "c": 16}
"""Bytes of the widest floating-point and complex numbers that compiled code knows."""


def dtype_from(name: str, value: Any) -> np.dtype:
    """The type of numbers that is meant: a NumPy dtype, its name, or a Python type.

    Examples
    --------
    >>> dtype_from("dtype", "float32")
    dtype('float32')
    """
    try:
        if value is not None:  # which NumPy takes for float64
            found: np.dtype = np.dtype(value)
            return found
    except TypeError:
        pass
    raise TypeError(f"{shown(name, value)} is no type of numbers; give one, 'float64' say.")


def plain_array(what: str, value: Any) -> np.ndarray:
    """A value as a dense array of plain numbers; refuse sparse matrices, objects and long floats.

    Parameters
    ----------
    what : str
        What it is, for the message: ``"data['x']"``.
    value : object
        What was given.

    Raises
    ------
    TypeError
        If it is no array of booleans, integers or floating-point numbers of at most 64 bits.
    ValueError
        If entries are masked.

    Examples
    --------
    >>> import numpy as np
    >>> plain_array("x", np.arange(2, dtype=">f8")).dtype
    dtype('float64')
    """
    if hasattr(value, "toarray") or hasattr(value, "todense"):
        raise TypeError(
            f"{what} is a sparse {type(value).__name__}; a dense array is accepted: .toarray() or "
            ".todense(). (In a model it may be a constant, "
            "pytensor.sparse.as_sparse_variable(matrix).)"
        )
    refuse_masked(value, what)
    array = np.asarray(value)
    if array.dtype.kind not in "fiubc":
        raise TypeError(
            f"{what} has the type {array.dtype}; real numbers in a dense array are accepted. "
            "Encode labels as integers (np.unique(labels, return_inverse=True)), dates as "
            "numbers; an object array of numbers needs .astype(float)."
        )
    if array.dtype.itemsize > WIDEST.get(array.dtype.kind, 8):
        raise TypeError(
            f"{what} has the type {array.dtype}, which neither backend knows: .astype('float64')."
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def refuse_masked(array: Any, name: str, *, error: type[Exception] = ValueError) -> None:
    """Refuse arrays with masked entries: what is under the mask would be read as data."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise error(
            f"{name} is a masked array. Fill its gaps, array.filled(value), or leave those rows "
            "out: imputing needs all the rows."
        )


def first_not_finite(value: Any) -> str:
    """The first entry that is NaN or infinite, and how many there are, in words; else nothing.

    Examples
    --------
    >>> import numpy as np
    >>> first_not_finite(np.array([[1.0, np.nan], [np.inf, 2.0]]))
    'is nan at [0, 1] (2 such entries)'
    """
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return ""
    bad = np.argwhere(~np.isfinite(array))
    if not len(bad):
        return ""
    first = tuple(int(i) for i in bad[0])
    at = f" at {list(first)}" if first else ""
    more = f" ({len(bad)} such entries)" if len(bad) > 1 else ""
    return f"is {array[first]}{at}{more}"
