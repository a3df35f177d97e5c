"""Which coordinates of a log density interact: where its Hessian has entries, from products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

__all__ = ["LARGEST_BY_COLUMNS", "MOST_WIDE", "TooDenseError", "interactions"]

LARGEST_BY_COLUMNS = 2_000
"""Dimensions up to which the Hessian is computed column by column; beyond, columns are mixed."""

NOTHING = 1e-7
"""An entry below so many times the largest ones of its row and its column is none."""

MOST_WIDE = 128
"""Coordinates of a long vector that may interact with many others."""

COLOURS, ROUNDS = 32, 6
"""Sets into which coordinates are thrown, and how often anew."""

type Product = Callable[[np.ndarray], np.ndarray]
"""Takes directions ``(K, D)`` and returns the Hessian's products with them, ``(K, D)``."""


class TooDenseError(ValueError):
    """So many coordinates interact that mixed columns cannot be told apart."""


def interactions(
    product: Product, dim: int, rng: np.random.Generator, error: float = 1e-5
) -> sp.csr_array:
    """Where the Hessian at a point is not zero, the diagonal left out; symmetric ``(D, D)``.

    Up to 2,000 dimensions column by column. Beyond, coordinates are thrown into 32 sets, and three
    products with each set take the place of its columns: of ones, of its numbers 1, 2, ..., and of
    random numbers. Of a row in which one coordinate of a set has an entry, the second product over
    the first says which, and the third confirms it. Rows in which most sets have several
    are of coordinates that interact with many, whose columns are computed; the others are thrown
    again, with what is known taken out, until all is.

    Parameters
    ----------
    product : callable
        Products of the Hessian at one point.
    dim : int
        ``D``.
    rng : numpy.random.Generator
        Throws the sets.
    error : float
        Relative error of products that counts as none; a hundredth of it is no entry.

    Raises
    ------
    TooDenseError
        If more than 128 coordinates interact with many, where columns are mixed.
    """
    if dim <= LARGEST_BY_COLUMNS:
        return _pattern(sp.csr_array(product(np.eye(dim))))
    wide = np.zeros(dim, bool)
    columns = sp.csr_array((dim, dim))
    found = sp.csr_array((dim, dim))
    for turn in range(ROUNDS):
        entries, unclear = _decoded(product, columns + found, wide, rng, error)
        if turn == 0:
            many = unclear.sum(axis=0) > COLOURS // 2
            columns = _of_wide(product, many, wide, columns)
            found = _without(entries, many)
            continue
        found = found + entries
        if not unclear.any():
            break
    else:
        columns = _of_wide(product, unclear.any(axis=0) & ~wide, wide, columns)
    return _pattern(columns + found)


def _of_wide(
    product: Product, more: np.ndarray, wide: np.ndarray, columns: sp.csr_array
) -> sp.csr_array:
    """The columns known so far, with those of more coordinates, which are wide from now on."""
    wide |= more
    if wide.sum() > MOST_WIDE:
        raise TooDenseError(
            f"{int(wide.sum())} of {wide.size} coordinates interact with many others"
        )
    which = np.flatnonzero(more)
    if not len(which):
        return columns
    units = np.zeros((len(which), wide.size))
    units[np.arange(len(which)), which] = 1.0
    below = sp.csr_array(product(units))
    place = sp.csr_array(
        (np.ones(len(which)), (which, np.arange(len(which)))), (wide.size, len(which))
    )
    return columns + sp.csr_array(below.T @ place.T)


def _without(entries: sp.csr_array, wide: np.ndarray) -> sp.csr_array:
    """The entries in narrow rows and columns."""
    own = sp.coo_array(entries)
    kept = ~(wide[own.row] | wide[own.col])
    return sp.csr_array((own.data[kept], (own.row[kept], own.col[kept])), own.shape)


def _decoded(
    product: Product,
    known: sp.csr_array,
    wide: np.ndarray,
    rng: np.random.Generator,
    error: float,
) -> tuple[sp.csr_array, np.ndarray]:
    """Entries of narrow rows and columns, and which sets are unclear in which rows ``(C, D)``."""
    dim = wide.size
    colour = rng.integers(COLOURS, size=dim)
    colour[wide] = -1
    # numbers within a set: single precision does not tell those of many thousands apart
    order = np.argsort(colour, kind="stable")
    first = np.searchsorted(colour[order], np.arange(COLOURS))
    number = np.empty(dim, int)
    number[order] = np.arange(dim) - np.append(first, 0)[colour[order]]
    weights = np.stack([np.ones(dim), 1.0 + number, rng.uniform(0.5, 1.5, dim)])
    sets = colour[None] == np.arange(COLOURS)[:, None]
    answers = []
    for weight in weights:
        directions = np.where(sets, weight, 0.0)
        whole = product(directions)
        answers.append((whole, whole - (known @ directions.T).T))
    size = np.max(np.abs(answers[0][0]), axis=0)
    ones, numbers, random = (left for _, left in answers)
    least = 1e-2 * error * np.maximum(size, np.finfo(float).tiny)
    there = (np.abs(ones) > least) | (np.abs(random) > least)
    there[:, wide] = False
    with np.errstate(all="ignore"):
        place = numbers / ones - 1.0
    which = np.where(np.isfinite(place), np.rint(np.clip(place, -1, dim)), -1).astype(int)
    inside = (which >= 0) & (which < sets.sum(axis=1)[:, None])
    column = order[np.where(inside, first[:, None] + which, 0)]
    agrees = np.abs(random - ones * weights[2][column]) <= error * np.abs(ones)
    clear = there & inside & agrees & (np.abs(place - which) < 0.05)
    sets_of, rows = np.nonzero(clear)
    entries = sp.csr_array((ones[clear], (rows, column[sets_of, rows])), (dim, dim))
    return entries, there & ~clear


def _pattern(matrix: sp.csr_array) -> sp.csr_array:
    """Where a matrix has entries, made symmetric, without the diagonal."""
    entries = sp.coo_array(matrix)
    size = np.abs(entries.data)
    largest = np.zeros(matrix.shape[0])
    np.maximum.at(largest, entries.row, size)
    np.maximum.at(largest, entries.col, size)
    scale = np.sqrt(largest[entries.row] * largest[entries.col])
    kept = (size > NOTHING * scale) & (entries.row != entries.col)
    row, col = entries.row[kept], entries.col[kept]
    found = sp.csr_array(
        (np.ones(2 * len(row), bool), (np.r_[row, col], np.r_[col, row])), matrix.shape
    )
    found.sum_duplicates()
    return found
