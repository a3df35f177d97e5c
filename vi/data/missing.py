"""Rows with NaN and arrays with masks: found without a copy of the data, refused or left out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

__all__ = [
    "NAN_POLICIES",
    "check_nan_policy",
    "drop_nan",
    "nan_text",
    "refuse_nan",
    "rows_with_nan",
]

NAN_POLICIES = ("raise", "drop", "allow")
"""What may be done about rows with NaN: an error, leaving them out, or nothing."""

POLICY_ADVICE = "nan='drop' leaves such rows out; nan='allow' keeps them."

BLOCK_BYTES = 2**24
"""Bytes looked at in one go: beside them and their flags nothing is allocated. Large enough that
the Python loop costs nothing, small against the data that are worth a loop."""

NAMED_ROWS = 5
"""Rows that a message lists: enough to look at, and one line."""


def check_nan_policy(what: str, nan: str) -> None:
    """Refuse an unknown policy; ``what`` is who was told, up to the argument: ``"Stream(nan"``."""
    if nan not in NAN_POLICIES:
        raise ValueError(f"{what}={nan!r}): must be one of 'raise', 'drop' or 'allow'.")


def rows_with_nan(array: np.ndarray) -> np.ndarray:
    """The one finder: which rows have a NaN, block by block.

    Parameters
    ----------
    array : numpy.ndarray
        Shape ``(n_rows, ...)``; what is neither float nor complex has none.

    Returns
    -------
    numpy.ndarray
        Numbers of the rows (first axis) in which some entry is NaN, ascending, shape ``(n_bad,)``.
    """
    if array.dtype.kind not in "fc" or not array.size:
        return np.empty(0, np.int64)
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    numbers = [np.empty(0, np.int64)]
    for start in range(0, len(array), rows):
        block = array[start : start + rows]
        # The sum of a NaN is NaN (that of opposite infinities is too): one quick pass that needs
        # no memory clears nearly every block, and only the others are looked at entry by entry.
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isnan(block.sum()):
                continue
        flags = np.isnan(block).reshape(len(block), -1).any(axis=1)
        numbers.append(start + np.flatnonzero(flags))
    return np.concatenate(numbers)


def drop_nan[K: Hashable](arrays: Mapping[K, np.ndarray]) -> dict[K, np.ndarray]:
    """The arrays without the rows in which one of them has a NaN; themselves if there is none.

    Parameters
    ----------
    arrays : mapping to numpy.ndarray
        Arrays ``(n_rows, ...)`` that share their rows.
    """
    bad = np.unique(np.concatenate([rows_with_nan(array) for array in arrays.values()]))
    if not len(bad):
        return dict(arrays)
    return {name: np.delete(array, bad, axis=0) for name, array in arrays.items()}


def refuse_nan(
    arrays: Mapping[str, np.ndarray],
    advice: str = POLICY_ADVICE,
    *,
    first: int = 0,
    error: type[Exception] = ValueError,
) -> None:
    """Refuse arrays with NaN: which, in how many rows, and the first of them.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        Arrays ``(n_rows, ...)`` by what messages call them.
    advice : str
        What to do, in a sentence.
    first : int
        The number of the first row, where the arrays are a part of the data.
    error : type
        What is raised.
    """
    for name, array in arrays.items():
        bad = rows_with_nan(array)
        if len(bad):
            raise error(nan_text(name, first + bad, len(array), advice))


def nan_text(name: str, bad: np.ndarray, n_rows: int, advice: str = POLICY_ADVICE) -> str:
    """The one text about NaN: the variable, how many of ``n_rows`` rows, the first, what to do."""
    listed = ", ".join(map(str, bad[:NAMED_ROWS]))
    return f"{name} has NaN in {len(bad)} of {n_rows} rows, first in {listed}. {advice}"
