"""The full-rank family: any covariance."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from vi.families.base_distributions import Base, Normal, check_base
from vi.families.family import FAMILIES, Family, Frame, Noise, Params, inverse_softplus
from vi.families.own_covariance import OwnCovariance
from vi.families.triangles import (
    diagonal_places,
    on_diagonal,
    packed_triangle,
    rows_of_entries,
    triangle,
    with_diagonal,
)
from vi.foundation.slopes import with_slope

__all__ = ["FullRank"]

LARGEST_FRAME = 256
"""Dimensions up to which steps are made in q's own coordinates.

They take two products of ``D x D`` matrices, which beyond cost more than all the rest of a step.
"""


@FAMILIES.register
@dataclass(frozen=True)
class FullRank(Family):
    r"""A location and a dense Cholesky factor, :math:`z = \mu + L e`.

    With the default base :math:`N(z \mid \mu, L L^\top)`. Parameters ``mu`` of shape ``(D,)`` and
    ``L_tril`` of shape ``(D (D + 1) / 2,)``, the lower triangle of ``L`` row by row, its diagonal
    entries through a softplus. Memory and time a step are ``O(D^2)``.

    Parameters
    ----------
    base : Base
        Distribution of ``e``; for heavy tails take :class:`vi.families.MultivariateT`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> family = FullRank()
    >>> family.cov(family.init(jnp.zeros(2), jnp.array([1.0, 2.0]), jax.random.key(0))).round(
    ...     3
    ... ).tolist()
    [[1.0, 0.0], [0.0, 4.0]]

    References
    ----------
    Kucukelbir, Tran, Ranganath, Gelman and Blei (2017). Automatic differentiation variational
    inference. JMLR 18, eq. 8.
    """

    base: Base = field(default_factory=Normal)
    short_name = "full_rank"
    aliases = ("fr",)
    default_estimator = "sticking_the_landing"
    estimator_of_plain_steps = "closed_form"
    pairs_in_batches = True

    def __post_init__(self) -> None:
        check_base(self, self.base)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the base is."""
        return self.base.symmetric

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        dim = mean.size
        packed = jnp.zeros(dim * (dim + 1) // 2, mean.dtype)
        return {
            "mu": mean,
            "L_tril": packed.at[diagonal_places(dim)].set(inverse_softplus(std / self.base.std)),
        }

    def at(self, mean: jax.Array, scale_tril: jax.Array) -> Params:
        """The parameters with this location and this Cholesky factor."""
        dim = mean.size
        packed = packed_triangle(scale_tril)
        return {
            "mu": mean,
            "L_tril": packed.at[diagonal_places(dim)].set(inverse_softplus(jnp.diag(scale_tril))),
        }

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        return self.base.noise(key, params["mu"].size, params["mu"].dtype)

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        return params["mu"] + self.scale_tril(params) @ noise

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        factor = self.scale_tril(params)
        standardised = solve_triangular(factor, z - params["mu"], lower=True)
        log_q: jax.Array = self.base.log_prob(standardised) - jnp.sum(jnp.log(jnp.diag(factor)))
        return log_q

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        log_q = self.base.log_prob(noise) - self._log_det(params)
        return self.draw(params, noise), log_q

    def log_prob_of_draw(self, params: Params, noise: Noise, z: jax.Array) -> jax.Array:
        params, noise = jax.lax.stop_gradient((params, noise))
        log_q, slope = jax.value_and_grad(self.base.log_prob)(noise)
        # L's transpose is brought into LAPACK's order of entries by a plain copy, L by turning it
        score = solve_triangular(self.scale_tril(params).T, slope, lower=False)
        return with_slope(log_q - self._log_det(params), score, z)

    def entropy(self, params: Params) -> jax.Array:
        return self.base.entropy(params["mu"].size) + self._log_det(params)

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        std: jax.Array = self.base.std * jnp.sqrt(
            jnp.sum(jnp.square(self.scale_tril(params)), axis=1)
        )
        return std

    def cov(self, params: Params) -> jax.Array:
        factor = self.base.std * self.scale_tril(params)
        return factor @ factor.T

    def units(self, params: Params) -> Params:
        dim = params["mu"].size
        std = self.std(params)
        diagonal = params["L_tril"][diagonal_places(dim)]
        # The i entries of row i move together: each gets 1 / sqrt(i) of the row's standard
        # deviation, so that a step of all of them changes z_i by one unit, however large D is.
        row_unit = std / jnp.sqrt(jnp.arange(1, dim + 1, dtype=std.dtype))
        log_unit = jax.nn.softplus(diagonal) / jax.nn.sigmoid(diagonal)
        packed = row_unit.at[rows_of_entries(dim)].get(mode="promise_in_bounds")
        return {"mu": std, "L_tril": with_diagonal(packed, log_unit)}

    def frame(self, params: Params) -> Frame | None:
        if params["mu"].size > LARGEST_FRAME:
            return None
        return OwnCovariance(params, self.scale_tril(params), self.base)

    def _log_det(self, params: Params) -> jax.Array:
        """The logarithm of the determinant of ``L``."""
        diagonal = params["L_tril"][diagonal_places(params["mu"].size)]
        log_det: jax.Array = jnp.sum(jnp.log(jax.nn.softplus(diagonal)))
        return log_det

    def scale_tril(self, params: Params) -> jax.Array:
        """The Cholesky factor ``L``, shape ``(D, D)``."""
        dim = params["mu"].size
        packed = params["L_tril"]
        positive = jax.nn.softplus(packed[diagonal_places(dim)])
        if dim > LARGEST_FRAME:
            # one matrix for all that read it, in one order: each would make its own otherwise
            one: jax.Array = triangle(with_diagonal(packed, positive), dim)
            return jax.lax.optimization_barrier(one)  # type: ignore[no-any-return]
        return on_diagonal(triangle(packed, dim), positive)
