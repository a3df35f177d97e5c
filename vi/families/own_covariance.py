"""The frame of a dense covariance: steps in the coordinates in which q is a standard one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.base_distributions import Base
from vi.families.family import Family, Frame, Noise, Params, Within, inverse_softplus
from vi.families.triangles import (
    diagonal_places,
    on_diagonal,
    packed_product,
    packed_triangle,
    triangle,
)

__all__ = ["OwnCovariance"]


@dataclass(frozen=True)
class OwnCovariance(Frame):
    r"""Steps in the coordinates in which q is a standard one.

    .. math:: \mu + s L \delta, \qquad L (I + \Delta)

    with ``s`` the base's standard deviation and a lower triangle :math:`\Delta`. How far such a
    step moves q, in q's own measure, does not depend on its covariance.

    Parameters
    ----------
    params : dict
        The parameters of q.
    factor : jax.Array
        ``L``, ``(D, D)``.
    base : Base
        Distribution of the noise.
    """

    params: Params
    factor: jax.Array
    base: Base

    def gradient(self, gradient: Params) -> Params:
        dim = len(self.factor)
        matrix = triangle(gradient["L_tril"], dim)
        slope = gradient["L_tril"][diagonal_places(dim)] / jax.nn.sigmoid(self._raw_diagonal())
        turned = self.factor.T @ on_diagonal(matrix, slope)
        mu = self.base.std * self.factor.T @ gradient["mu"]
        return {"mu": mu, "L_tril": packed_triangle(turned * _row_units(dim, turned.dtype))}

    def change(self, step: Params) -> Params:
        dim = len(self.factor)
        turn = triangle(step["L_tril"], dim) * _row_units(dim, self.factor.dtype)
        # of the diagonal a step is one of the logarithm downwards, which keeps it positive
        log = step["L_tril"][diagonal_places(dim)]
        growth = jnp.where(log < 0, jnp.exp(log), 1 + log)
        diagonal = inverse_softplus(jnp.diag(self.factor) * growth) - self._raw_diagonal()
        return {
            "mu": self.base.std * self.factor @ step["mu"],
            "L_tril": packed_product(self.factor, on_diagonal(turn, growth - 1), diagonal),
        }

    def within(self) -> Within:
        dim, location = len(self.factor), self.params["mu"]
        log_det = jnp.sum(jnp.log(jnp.diag(self.factor)))
        nowhere = {"mu": jnp.zeros_like(location), "turn": jnp.zeros_like(self.factor)}

        def gradient(gradient: Params) -> Params:
            turned = gradient["turn"] * _row_units(dim, self.factor.dtype)
            return {"mu": gradient["mu"], "L_tril": packed_triangle(turned)}

        return Within(
            _Standard(self.base, log_det),
            nowhere,
            lambda draw: location + self.factor @ draw,
            gradient,
        )

    def _raw_diagonal(self) -> jax.Array:
        return self.params["L_tril"][diagonal_places(len(self.factor))]


@dataclass(frozen=True)
class _Standard(Family):
    r"""q as seen in its own coordinates, where steps begin, at :math:`\delta = \Delta = 0`.

    .. math:: \zeta = e + \Delta e + s \delta

    Parameters ``mu``, :math:`\delta`, and ``turn``, :math:`\Delta`, ``(D, D)``. Densities and the
    entropy are those of q in the model's coordinates.

    Parameters
    ----------
    base : Base
        Distribution of ``e``.
    log_det : jax.Array
        The logarithm of the factor's determinant.
    """

    base: Base
    log_det: jax.Array
    short_name = "standard"
    default_estimator = "sticking_the_landing"

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        return {"mu": mean / self.base.std, "turn": jnp.diag(std / self.base.std - 1.0)}

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return self.base.noise(key, params["mu"].size, params["mu"].dtype)

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        draw: jax.Array = noise + _turned(params["turn"], noise) + self.base.std * params["mu"]
        return draw

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        back = z - _turned(params["turn"], z) - self.base.std * params["mu"]
        return self.base.log_prob(back) - jnp.trace(params["turn"]) - self.log_det

    def entropy(self, params: Params) -> jax.Array:
        dim = params["mu"].size
        return self.base.entropy(dim) + jnp.trace(params["turn"]) + self.log_det

    def units(self, params: Params) -> Params:
        units: Params = jax.tree.map(jnp.ones_like, params)
        return units


@jax.custom_jvp
def _turned(turn: jax.Array, vector: jax.Array) -> jax.Array:
    """``turn @ vector`` where ``turn`` is 0: XLA would multiply by the zeros."""
    return jnp.zeros_like(vector)


@_turned.defjvp
def _turning(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (turn, vector), (change, _) = primals, tangents
    return _turned(turn, vector), change @ vector


def _row_units(dim: int, dtype: Any) -> jax.Array:
    """The unit of each entry of a factor, ``(D, D)``: see :meth:`FullRank.units`."""
    rows = jnp.asarray(1.0 / np.sqrt(np.arange(1.0, dim + 1)), dtype)
    return on_diagonal(jnp.broadcast_to(rows[:, None], (dim, dim)), jnp.ones(dim, dtype))
