"""Particles: a distribution that is a set of points."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.families.family import FAMILIES, Family, Noise, Params
from vi.foundation.numbers import whole

__all__ = ["Particles"]


@FAMILIES.register
@dataclass(frozen=True)
class Particles(Family):
    r"""``n`` points of equal weight, :math:`q = \frac1n \sum_j \delta_{x_j}`.

    One parameter ``particles`` of shape ``(n, D)``. A draw is one of them; there is no density, so
    that ELBOs are not defined: particles are moved by :class:`vi.SVGD`, or come from elsewhere
    (:class:`vi.Empirical`).

    Parameters
    ----------
    n_particles : int
        ``n``, at least 2.

    Raises
    ------
    ValueError
        If there are fewer than 2.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> Particles(50).init(jnp.zeros(3), jnp.ones(3), jax.random.key(0))["particles"].shape
    (50, 3)
    """

    n_particles: int = 100
    short_name = "particles"
    aliases = ("empirical",)
    default_estimator = "none"
    has_density = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_particles", whole("Particles(n_particles", self.n_particles, 2))

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        shape = (self.n_particles, mean.size)
        return {"particles": mean + std * jax.random.normal(key, shape, mean.dtype)}

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return jax.random.randint(key, (), 0, params["particles"].shape[0])

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        return params["particles"][noise]

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        raise TypeError("Particles have no density: log q is not defined.")

    def mean(self, params: Params) -> jax.Array:
        return jnp.mean(params["particles"], axis=0)

    def std(self, params: Params) -> jax.Array:
        return jnp.std(params["particles"], axis=0)

    def cov(self, params: Params) -> jax.Array:
        centred = params["particles"] - self.mean(params)
        return centred.T @ centred / len(centred)

    def units(self, params: Params) -> Params:
        std = self.std(params)
        return {
            "particles": jnp.broadcast_to(jnp.where(std > 0, std, 1.0), params["particles"].shape)
        }
