"""Values with a slope: they rise as they are told to, and read nothing of where they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.slopes import with_slope

SLOPE = jnp.arange(6.0).reshape(2, 3)
VALUE = jnp.array([1.0, -2.0])


def test_value_and_derivatives_both_ways():
    def function(z):
        return with_slope(VALUE, SLOPE, z)

    z, step = jnp.full((2, 3), 7.0), jnp.ones((2, 3))
    np.testing.assert_array_equal(function(z), VALUE)
    found, rise = jax.jvp(function, (z,), (step,))
    np.testing.assert_array_equal(found, VALUE)
    np.testing.assert_array_equal(rise, SLOPE.sum(axis=1))
    (back,) = jax.vjp(function, z)[1](jnp.array([1.0, 10.0]))
    np.testing.assert_array_equal(back, SLOPE * np.array([[1.0], [10.0]]))
    np.testing.assert_array_equal(jax.vmap(with_slope)(VALUE, SLOPE, z), VALUE)


def test_what_makes_the_point_is_not_computed():
    """Where the value alone is asked for, and with the gradient of a linear map."""

    def loss(scale):
        return jnp.sum(with_slope(VALUE, SLOPE, scale * jnp.cos(SLOPE)))

    compiled = jax.jit(loss).lower(1.0).compile().as_text()
    assert "cosine" not in compiled
    right = np.sum(np.arange(6.0) * np.cos(np.arange(6.0)))
    np.testing.assert_allclose(jax.grad(loss)(1.0), right, rtol=1e-6)
