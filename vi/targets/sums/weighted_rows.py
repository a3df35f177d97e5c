"""A few weighted rows in the place of many: those that are equal, and those that add up equally."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Columns", "weighted_rows"]

SAMPLE = 4096
"""Rows that are looked at first: if no two of them are equal, there are millions of others.

Of rows of U kinds that many hold some 8e6 / U equal pairs.
"""

BLOCK = 65536
"""Rows whose scatter is found together, so that no second copy of all rows is made."""


@dataclass(frozen=True)
class Columns:
    r"""The data of one term, each array with its rows along the first axis.

    Parameters
    ----------
    keys : sequence of arrays
        What the term is some function of: rows may stand together only where these are equal.
    joint : sequence of arrays
        In these, together with `separate`, it is a polynomial of degree two at the most.
    separate : array, optional
        As `joint`, but an entry of the term sees its own column of it alone, so that how its
        columns vary together does not count.
    """

    keys: Sequence[np.ndarray]
    joint: Sequence[np.ndarray]
    separate: np.ndarray | None = None

    @property
    def arrays(self) -> list[np.ndarray]:
        """All of them."""
        last = [] if self.separate is None else [self.separate]
        return [*self.keys, *self.joint, *last]

    def __len__(self) -> int:
        return len(self.arrays[0])


def weighted_rows(columns: Columns, most: int | None = None) -> tuple[Columns, np.ndarray] | None:
    r"""Rows :math:`\tilde d_u` and weights :math:`w_u` with which a sum over rows is the same.

    .. math:: \sum_u w_u f(\tilde d_u) = \sum_i f(d_i)

    for every function f of the keys that is a polynomial of degree two in the rest. Where there is
    no rest the rows are the different ones, and weights are their numbers. Otherwise rows with the
    same keys, n of them with mean :math:`\bar d` and scatter :math:`R^\top R = \sum_i (d_i - \bar
    d)(d_i - \bar d)^\top`, become m rows of weight n / m,

    .. math:: \tilde d_u = \bar d + \sqrt{m / n}\; (H R)_u,

    where the m - 1 columns of H are orthonormal, and orthogonal to a column of ones. They have the
    same number, mean and scatter. Nothing is squared and subtracted again, so nothing cancels.

    Parameters
    ----------
    columns : Columns
        The data.
    most : int, optional
        As many rows there may be in the end.

    Returns
    -------
    Columns and numpy.ndarray, or None
        The rows, and their weights ``(U,)``; None where there would be more than `most`, or where
        entries that should have a mean are not finite.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> few, weights = weighted_rows(Columns([], [y]))
    >>> len(few), round(float(weights.sum()), 9), round(float(weights @ few.joint[0] ** 2), 9)
    (2, 3.0, 41.0)
    """
    cells = _cells(columns.keys, len(columns), most)
    if cells is None:
        return None
    order, starts = cells
    counts = np.diff([*starts, len(columns)])
    rest = columns.arrays[len(columns.keys) :]
    if not rest:
        first = order[starts]
        return Columns([key[first] for key in columns.keys], []), counts.astype(np.float64)
    if not all(np.isfinite(array.sum()) for array in rest):  # they have no mean
        return None
    width = sum(_width(array) for array in columns.joint)
    m = width + (1 if columns.separate is None else 2)
    if most is not None and np.minimum(counts, m).sum() > most:
        return None
    return _moments(columns, order, starts, counts, m)


def _moments(
    columns: Columns, order: np.ndarray, starts: np.ndarray, counts: np.ndarray, m: int
) -> tuple[Columns, np.ndarray]:
    """The rows of all cells: those of small ones as they are, m of each other one."""
    rest = columns.arrays[len(columns.keys) :]
    joint = sum(_width(array) for array in columns.joint)
    basis = _basis(m)
    rows, weights, first = [], [], []
    for start, n in zip(starts, counts, strict=True):
        cell = order[start : start + n] if len(counts) > 1 else slice(None)
        if n <= m:
            flat = np.hstack([array[cell].reshape(n, -1) for array in rest])
            rows.append(flat.astype(np.float64))
            weights.append(np.ones(n))
        else:
            mean, root = _scatter(rest, cell, int(n), joint, m - 1)
            equal = bool((np.abs(root) <= _rounding(mean, n)).all())
            rows.append(mean[None] if equal else mean + np.sqrt(m / n) * (basis @ root))
            weights.append(np.full(len(rows[-1]), n / len(rows[-1])))
        first.append(np.full(len(weights[-1]), order[start]))
    flat, numbers = np.concatenate(rows), np.concatenate(first)
    ends = np.cumsum([_width(array) for array in rest])[:-1]
    parts = [
        np.ascontiguousarray(part.reshape(len(flat), *array.shape[1:]))
        for part, array in zip(np.split(flat, ends, axis=1), rest, strict=True)
    ]
    separate = None if columns.separate is None else parts.pop()
    return Columns([key[numbers] for key in columns.keys], parts, separate), np.concatenate(weights)


def _scatter(
    arrays: Sequence[np.ndarray], cell: np.ndarray | slice, n: int, joint: int, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(q,)`` and a root ``(rank, q)`` of the scatter of the rows of a cell.

    Of the columns after the first `joint` ones, only each one's own scatter, and with these.
    """

    def block(start: int) -> np.ndarray:
        taken = (
            slice(start, min(start + BLOCK, n))
            if isinstance(cell, slice)
            else (cell[start : start + BLOCK])
        )
        picked = [array[taken] for array in arrays]
        return np.hstack([part.reshape(len(part), -1) for part in picked]).astype(np.float64)

    starts = range(0, n, BLOCK)
    rough = block(0).mean(axis=0)
    # of what is left once a rough mean is taken off: sums of large numbers lose digits
    mean = rough + sum((block(start) - rough).sum(axis=0) for start in starts) / n
    if joint == 0:
        squares = sum(np.square(block(start) - mean).sum(axis=0) for start in starts)
        return mean, np.sqrt(squares)[None]
    triangle = np.zeros((0, len(mean)))
    for start in starts:
        triangle = np.linalg.qr(np.vstack([triangle, block(start) - mean]), mode="r")
    root = np.zeros((rank, len(mean)))
    top = min(joint, len(triangle))
    root[:top] = triangle[:top]
    if rank > joint:
        root[joint, joint:] = np.linalg.norm(triangle[joint:, joint:], axis=0)
    return mean, root


def _rounding(mean: np.ndarray, n: int) -> np.ndarray:
    """What the root of the scatter of n equal rows comes to by rounding, at the most."""
    sizes: np.ndarray = 4 * np.finfo(np.float64).eps * np.sqrt(n) * np.abs(mean)
    return sizes


def _basis(m: int) -> np.ndarray:
    """Orthonormal columns ``(m, m - 1)``, orthogonal to ones: cosines, all alike in size."""
    rows, columns = np.arange(m)[:, None] + 0.5, np.arange(1, m)
    basis: np.ndarray = np.sqrt(2.0 / m) * np.cos(np.pi / m * rows * columns)
    return basis


def _cells(
    keys: Sequence[np.ndarray], n: int, most: int | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows in an order in which equal keys stand together, and where each kind starts."""
    if not keys:
        return np.arange(n), np.zeros(1, np.intp)
    columns = [column for key in keys for column in key.reshape(n, -1).T]
    if most is not None and n > SAMPLE:
        chosen = np.random.default_rng(0).choice(n, SAMPLE, replace=False, shuffle=False)
        if _codes([column[chosen] for column in columns]).max() == SAMPLE - 1:
            return None
    codes = _codes(columns)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return None if most is not None and len(starts) > most else (order, starts)


def _codes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """A number for each row ``(n,)``, from 0 on, the same for equal rows only."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        codes = np.unique(codes * len(values) + inverse, return_inverse=True)[1]
        if codes.max() == len(codes) - 1:
            break
    return codes


def _width(array: np.ndarray) -> int:
    return int(np.prod(array.shape[1:], dtype=int))
