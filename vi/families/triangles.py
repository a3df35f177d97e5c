"""Lower triangles: packed row by row, as matrices, and their product."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["diagonal_places", "on_diagonal", "packed_triangle", "triangle", "triangle_product"]

SMALLEST_BLOCK = 64
"""Rows below which half a product takes as long as a whole one: what a call costs is more."""


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


def triangle_product(left: jax.Array, right: jax.Array) -> jax.Array:
    r"""The product of two lower triangles, whose zeros are mostly left out.

    .. math:: \begin{pmatrix} A & \\ B & C \end{pmatrix} \begin{pmatrix} P & \\ Q & R \end{pmatrix}
              = \begin{pmatrix} A P & \\ B P + C Q & C R \end{pmatrix},

    and the same again for the two products of triangles.

    Parameters
    ----------
    left, right : jax.Array
        ``(D, D)``, with zeros above their diagonals.
    """
    dim = len(left)
    if dim < 2 * SMALLEST_BLOCK:
        return left @ right
    half = dim // 2
    first = triangle_product(left[:half, :half], right[:half, :half])
    below = left[half:] @ right[:, :half]
    last = triangle_product(left[half:, half:], right[half:, half:])
    return jnp.concatenate(
        [jnp.pad(first, ((0, 0), (0, dim - half))), jnp.concatenate([below, last], axis=1)]
    )


def _places(dim: int) -> np.ndarray:
    """Positions of the lower triangle in the flattened matrix."""
    rows, columns = np.tril_indices(dim)
    return (rows * dim + columns).astype(np.int32)
