"""The full-rank family: any covariance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.base_distributions import Base, Normal, check_base
from vi.families.family import FAMILIES, Family, Frame, Params, inverse_softplus

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
            "L_tril": packed.at[_diagonal(dim)].set(inverse_softplus(std / self.base.std)),
        }

    def at(self, mean: jax.Array, scale_tril: jax.Array) -> Params:
        """The parameters with this location and this Cholesky factor."""
        dim = mean.size
        packed = scale_tril[np.tril_indices(dim)]
        return {
            "mu": mean,
            "L_tril": packed.at[_diagonal(dim)].set(inverse_softplus(jnp.diag(scale_tril))),
        }

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        return self.base.noise(key, params["mu"].size, params["mu"].dtype)

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        return params["mu"] + self.scale_tril(params) @ noise

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        factor = self.scale_tril(params)
        standardised = jax.scipy.linalg.solve_triangular(factor, z - params["mu"], lower=True)
        log_q: jax.Array = self.base.log_prob(standardised) - jnp.sum(jnp.log(jnp.diag(factor)))
        return log_q

    def entropy(self, params: Params) -> jax.Array:
        dim = params["mu"].size
        diagonal = jax.nn.softplus(params["L_tril"][_diagonal(dim)])
        entropy: jax.Array = self.base.entropy(dim) + jnp.sum(jnp.log(diagonal))
        return entropy

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
        diagonal = params["L_tril"][_diagonal(dim)]
        rows, _ = np.tril_indices(dim)
        # The i entries of row i move together: each gets 1 / sqrt(i) of the row's standard
        # deviation, so that a step of all of them changes z_i by one unit, however large D is.
        row_unit = std / jnp.sqrt(jnp.arange(1, dim + 1, dtype=std.dtype))
        log_unit = jax.nn.softplus(diagonal) / jax.nn.sigmoid(diagonal)
        return {"mu": std, "L_tril": row_unit[rows].at[_diagonal(dim)].set(log_unit)}

    def frame(self, params: Params) -> Frame | None:
        if params["mu"].size > LARGEST_FRAME:
            return None
        return _OwnCovariance(params, self.scale_tril(params), self.base.std)

    def scale_tril(self, params: Params) -> jax.Array:
        """The Cholesky factor ``L``, shape ``(D, D)``."""
        dim = params["mu"].size
        packed = params["L_tril"]
        packed = packed.at[_diagonal(dim)].set(jax.nn.softplus(packed[_diagonal(dim)]))
        return _lower(packed, dim)


@dataclass(frozen=True)
class _OwnCovariance(Frame):
    r"""Steps in the coordinates in which q is a standard one.

    .. math:: \mu + s L \delta, \qquad L (I + \Delta)

    with ``s`` the base's standard deviation and a lower triangle :math:`\Delta`. How far such a
    step moves q, in q's own measure, does not depend on its covariance.
    """

    params: Params
    factor: jax.Array
    base_std: float

    def gradient(self, gradient: Params) -> Params:
        dim = len(self.factor)
        packed = gradient["L_tril"]
        packed = packed.at[_diagonal(dim)].divide(jax.nn.sigmoid(self._raw_diagonal()))
        turned = self.factor.T @ _lower(packed, dim) * _row_units(dim, packed.dtype)
        mu = self.base_std * self.factor.T @ gradient["mu"]
        return {"mu": mu, "L_tril": turned[np.tril_indices(dim)]}

    def change(self, step: Params) -> Params:
        dim = len(self.factor)
        turn = _lower(step["L_tril"], dim) * _row_units(dim, self.factor.dtype)
        # of the diagonal a step is one of the logarithm downwards, which keeps it positive
        log = jnp.diag(turn)
        growth = jnp.where(log < 0, jnp.exp(log), 1 + log)
        turn = turn.at[np.diag_indices(dim)].set(growth - 1)
        packed = (self.factor @ turn)[np.tril_indices(dim)]
        diagonal = inverse_softplus(jnp.diag(self.factor) * growth) - self._raw_diagonal()
        packed = packed.at[_diagonal(dim)].set(diagonal)
        return {"mu": self.base_std * self.factor @ step["mu"], "L_tril": packed}

    def _raw_diagonal(self) -> jax.Array:
        return self.params["L_tril"][_diagonal(len(self.factor))]


def _lower(packed: jax.Array, dim: int) -> jax.Array:
    """The lower triangle as a matrix."""
    return jnp.zeros((dim, dim), packed.dtype).at[np.tril_indices(dim)].set(packed)


def _row_units(dim: int, dtype: Any) -> jax.Array:
    """The unit of each entry of a factor, ``(D, D)``: see :meth:`FullRank.units`."""
    rows = jnp.broadcast_to(1 / jnp.sqrt(jnp.arange(1, dim + 1, dtype=dtype))[:, None], (dim, dim))
    return rows.at[np.diag_indices(dim)].set(1.0)


def _diagonal(dim: int) -> np.ndarray:
    """Positions of the diagonal entries in the packed lower triangle."""
    return np.cumsum(np.arange(1, dim + 1)) - 1
