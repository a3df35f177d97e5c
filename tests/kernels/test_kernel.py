"""What every registered kernel keeps: positive definite, and the sums of its own derivatives."""

from __future__ import annotations

from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vi.foundation.precision import precision
from vi.kernels import KERNELS


@pytest.fixture(autouse=True)
def double():
    with precision(np.dtype("float64")):
        yield


def fixed(name):
    """A kernel of that name which does not follow the particles."""
    kind = KERNELS[name]
    adapts = "bandwidth" in {field.name for field in fields(kind)}
    return kind(bandwidth=1.3) if adapts else kind()


def of_two(kernel):
    """k(x, y), from the attraction that x exerts on y where its score is one."""

    def k(x, y):
        points = jnp.stack([x, y])
        return kernel.sums(points, jnp.zeros_like(points).at[0, 0].set(1.0)).attraction[1, 0]

    return k


@pytest.mark.few(1)
@pytest.mark.parametrize("name", list(KERNELS))
def test_sums_are_those_of_differences(name, rng):
    """Central differences of k with steps of 1e-4 are right to 1e-7 or so."""
    kernel = fixed(name)
    n, dim, h = 5, 2, 1e-4
    x, scores = (jnp.asarray(rng.normal(size=(n, dim))) for _ in range(2))
    step = h * jnp.eye(dim)
    k = of_two(kernel)

    def terms(i, j):
        """What the pair adds: to the attraction and repulsion of i, and to the trace."""
        slope = (jax.vmap(lambda e: k(x[j] + e, x[i]) - k(x[j] - e, x[i]))(step)) / (2 * h)
        mixed = jax.vmap(
            lambda e: (
                k(x[i] + e, x[j] + e)
                - k(x[i] + e, x[j] - e)
                - k(x[i] - e, x[j] + e)
                + k(x[i] - e, x[j] - e)
            )
        )(step)
        return k(x[j], x[i]) * scores[j], slope, jnp.sum(mixed) / (4 * h * h)

    each = jax.jit(jax.vmap(jax.vmap(terms, (None, 0)), (0, None)))(jnp.arange(n), jnp.arange(n))
    attraction, repulsion, trace = (jnp.asarray(part) for part in each)
    diagonal = jnp.arange(n)
    # far from the origin too, where squares of coordinates would cancel
    ours = kernel.sums(100.0 + x, scores)
    np.testing.assert_allclose(ours.attraction, attraction.sum(1), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ours.repulsion, repulsion.sum(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.trace, trace.sum(), rtol=1e-5)
    own = (attraction + repulsion)[diagonal, diagonal]
    np.testing.assert_allclose(ours.own, own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", list(KERNELS))
def test_symmetric_and_positive_definite(name, rng):
    kernel, points = KERNELS[name](), jnp.asarray(rng.normal(size=(12, 2)))
    one = jnp.zeros_like(points)
    matrix = np.array(
        [kernel.sums(points, one.at[j, 0].set(1.0)).attraction[:, 0] for j in range(12)]
    )
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > -1e-10


@pytest.mark.parametrize("name", list(KERNELS))
def test_settings_only(name):
    one, two = KERNELS[name](), KERNELS[name]()
    assert one == two
    assert hash(one) == hash(two)
    assert KERNELS.name_of(type(one)) == name
