"""Lower triangles: there and back, and products that leave out the zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vi.families.triangles import (
    PART,
    diagonal_places,
    on_diagonal,
    packed_product,
    packed_triangle,
    triangle,
)
from vi.foundation.precision import precision


def test_a_triangle_is_numpys_row_by_row(rng):
    packed = rng.normal(size=10)
    expected = np.zeros((4, 4))
    expected[np.tril_indices(4)] = packed
    with precision(np.dtype("float64")):
        matrix = triangle(jnp.asarray(packed), 4)
        back = packed_triangle(matrix + jnp.triu(jnp.ones((4, 4)), 1))
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_array_equal(back, packed)
    np.testing.assert_array_equal(packed[diagonal_places(4)], np.diag(expected))


def test_the_gradient_of_a_triangle_is_the_packed_one(rng):
    weights = rng.normal(size=(3, 3))
    with precision(np.dtype("float64")):
        slope = jax.grad(lambda packed: jnp.sum(weights * triangle(packed, 3)))(jnp.zeros(6))
    np.testing.assert_array_equal(slope, weights[np.tril_indices(3)])


def test_on_diagonal_changes_the_diagonal_alone(rng):
    matrix = rng.normal(size=(3, 3))
    with precision(np.dtype("float64")):
        changed = np.asarray(on_diagonal(jnp.asarray(matrix), jnp.arange(3.0)))
    np.testing.assert_array_equal(np.diag(changed), np.arange(3.0))
    np.fill_diagonal(matrix, np.arange(3.0))
    np.testing.assert_array_equal(changed, matrix)


@pytest.mark.parametrize("dim", [1, 3, PART, 2 * PART, 4 * PART + 3])
def test_the_product_is_the_dense_one(rng, dim):
    """An entry is a sum of at most ``dim`` products of numbers below 5."""
    left, right = (np.tril(rng.normal(size=(dim, dim)).clip(-5, 5)) for _ in range(2))
    diagonal = rng.normal(size=dim)
    with precision(np.dtype("float64")):
        packed = packed_product(*map(jnp.asarray, (left, right, diagonal)))
    expected = left @ right
    np.fill_diagonal(expected, diagonal)
    allowed = 2 * dim * 25 * np.finfo(np.float64).eps
    np.testing.assert_allclose(packed, expected[np.tril_indices(dim)], rtol=0, atol=allowed)
    np.testing.assert_array_equal(np.asarray(packed)[diagonal_places(dim)], diagonal)
