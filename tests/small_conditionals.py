"""Locations and scales without a model: what tests of non-centred families are made of."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np

from vi.families.conditionals import Conditional, Conditionals, Given

__all__ = ["hierarchy"]


class Hierarchy(Conditionals):
    """Coordinate 0 is a logarithm of a scale, the next one an effect, all others a chain."""

    def __init__(self, dim):
        self.dim = dim
        places = [np.arange(1, min(dim, 2))[:, None], np.arange(2, dim)[None]]
        names = [("effect", places[0]), ("walk", places[1])]
        self.variables = tuple(Conditional(name, at) for name, at in names if at.size)
        if dim == 1:
            self.variables = (Conditional("alone", np.array([[0]])),)

    def given(self, number, z):
        shape = self.variables[number].entries.shape
        if self.dim == 1:
            return Given(*(jnp.full(shape, value, z.dtype) for value in (0.3, 2.0, 0.0)))
        location = jnp.full(shape, 0.3) * z[0] + 0.1 * jnp.arange(shape[1])
        scale = jnp.exp(0.4 * z[0] + jnp.zeros(shape))
        carry = 0.8 + 0.1 * jnp.tanh(z[0]) + jnp.zeros(shape)
        return Given(*(part.astype(z.dtype) for part in (location, scale, carry)))


hierarchy = functools.cache(Hierarchy)
