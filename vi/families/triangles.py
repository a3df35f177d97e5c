"""Lower triangles: packed row by row, as matrices, and their product."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "diagonal_places",
    "on_diagonal",
    "packed_product",
    "packed_triangle",
    "rows_of_entries",
    "triangle",
    "with_diagonal",
]

PART = 44
"""Rows of a product that are taken together, about: with fewer the calls cost what is saved."""


def triangle(packed: jax.Array, dim: int) -> jax.Array:
    """The matrix ``(dim, dim)`` whose lower triangle is ``packed``, row by row; 0 elsewhere.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> triangle(jnp.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 0.0], [2.0, 3.0]]
    """
    flat = jnp.zeros(dim * dim, packed.dtype)
    # what is said of the places makes this twice as fast, and a gather of its transpose
    filled = flat.at[_places(dim)].set(
        packed, indices_are_sorted=True, unique_indices=True, mode="promise_in_bounds"
    )
    return filled.reshape(dim, dim)


def packed_triangle(matrix: jax.Array) -> jax.Array:
    """The lower triangle of a square matrix, row by row: what :func:`triangle` takes.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> packed_triangle(jnp.array([[1.0, 9.0], [2.0, 3.0]])).tolist()
    [1.0, 2.0, 3.0]
    """
    places = _places(len(matrix))
    return (
        matrix.reshape(-1)
        .at[places]
        .get(indices_are_sorted=True, unique_indices=True, mode="promise_in_bounds")
    )


def on_diagonal(matrix: jax.Array, diagonal: jax.Array) -> jax.Array:
    """The matrix with another diagonal: selected, which XLA fuses, where a scatter is a copy."""
    return jnp.where(np.eye(len(matrix), dtype=bool), diagonal[:, None], matrix)


def diagonal_places(dim: int) -> np.ndarray:
    """Positions of the diagonal entries in the packed lower triangle."""
    return np.cumsum(np.arange(1, dim + 1)) - 1


def rows_of_entries(dim: int) -> np.ndarray:
    """The row of each entry of the packed lower triangle.

    Examples
    --------
    >>> rows_of_entries(3).tolist()
    [0, 1, 1, 2, 2, 2]
    """
    return np.repeat(np.arange(dim, dtype=np.int32), np.arange(1, dim + 1))


def with_diagonal(packed: jax.Array, diagonal: jax.Array) -> jax.Array:
    """The packed triangle with another diagonal.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> with_diagonal(jnp.array([1.0, 2.0, 3.0]), jnp.zeros(2)).tolist()
    [0.0, 2.0, 0.0]
    """
    return packed.at[diagonal_places(len(diagonal))].set(
        diagonal, indices_are_sorted=True, unique_indices=True, mode="promise_in_bounds"
    )


def packed_product(left: jax.Array, right: jax.Array, diagonal: jax.Array) -> jax.Array:
    r"""The product of two lower triangles, packed, with another diagonal.

    Rows are taken some at a time, with the columns that they can have: of ``D`` rows in ``n`` parts

    .. math:: (A B)_{i:k, :k} = A_{i:k, :k} \, B_{:k, :k}

    takes :math:`1/3 + 1/(2n) + 1/(6n^2)` of the operations of a dense product.

    Parameters
    ----------
    left, right : jax.Array
        ``(D, D)``, with zeros above their diagonals.
    diagonal : jax.Array
        ``(D,)``, in the place of the product's.

    Returns
    -------
    jax.Array
        What :func:`packed_triangle` returns.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> matrix = jnp.array([[1.0, 0.0], [2.0, 3.0]])
    >>> packed_product(matrix, matrix, jnp.array([7.0, 8.0])).tolist()
    [7.0, 8.0, 8.0]
    """
    parts = [
        (left[first:last, :last] @ right[:last, :last]).reshape(-1)
        for first, last in _parts(len(left))
    ]
    # one gather takes them together: concatenated in a matrix they would be copied twice more
    return (
        jnp.concatenate([*parts, diagonal])
        .at[_places_in_parts(len(left))]
        .get(unique_indices=True, mode="promise_in_bounds")
    )


def _parts(dim: int) -> list[tuple[int, int]]:
    """The first row of each part and the one after its last."""
    ends = np.linspace(0, dim, max(1, round(dim / PART)) + 1).round().astype(int).tolist()
    return list(itertools.pairwise(ends))


def _places_in_parts(dim: int) -> np.ndarray:
    """Where the packed triangle's entries lie in the parts, one after the other, and a diagonal."""
    rows, columns = np.tril_indices(dim)
    places, before = np.empty(len(rows), np.int32), 0
    for first, last in _parts(dim):
        here = (first <= rows) & (rows < last)
        places[here] = before + (rows[here] - first) * last + columns[here]
        before += (last - first) * last
    places[diagonal_places(dim)] = before + np.arange(dim)
    return places


def _places(dim: int) -> np.ndarray:
    """Positions of the lower triangle in the flattened matrix."""
    rows, columns = np.tril_indices(dim)
    return (rows * dim + columns).astype(np.int32)
