"""Locations and scales without a model: what tests of non-centred families are made of."""

from __future__ import annotations

import functools

import jax.numpy as jnp

from vi.families.conditionals import Conditional, Conditionals, Given

__all__ = ["hierarchy"]


class Hierarchy(Conditionals):
    """Coordinate 0 is a logarithm of a scale, the next one an effect, all others a chain."""

    def __init__(self, dim):
        self.dim = dim
        both = (Conditional("effect", 1, (1, 1)), Conditional("walk", 2, (1, dim - 2)))
        alone = (Conditional("alone", 0, (1, 1)),)
        self.variables = alone if dim == 1 else both[: min(dim - 1, 2)]

    def given(self, number, z):
        shape = self.variables[number].shape
        if self.dim == 1:
            return Given(*(jnp.full(shape, value, z.dtype) for value in (0.3, 2.0, 0.0)))
        location = jnp.full(shape, 0.3) * z[0] + 0.1 * jnp.arange(shape[1])
        scale = jnp.exp(0.4 * z[0] + jnp.zeros(shape))
        carry = 0.8 + 0.1 * jnp.tanh(z[0]) + jnp.zeros(shape)
        return Given(*(part.astype(z.dtype) for part in (location, scale, carry)))


hierarchy = functools.cache(Hierarchy)
