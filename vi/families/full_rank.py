"""The full-rank normal family: a normal with any covariance."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.base import Family, Params, inverse_softplus, normal_entropy, normal_log_prob, standard_normal

__all__ = ["FullRankNormal"]


@dataclass(frozen=True)
class FullRankNormal(Family):
    r"""A normal with a dense Cholesky factor, :math:`q(z) = N(z \mid \mu, L L^\top)`.

    Parameters ``mu`` of shape ``(D,)`` and ``L_tril`` of shape ``(D (D + 1) / 2,)``, the lower triangle of ``L`` row by
    row, its diagonal entries through a softplus. Memory and time a step are ``O(D^2)``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> family = FullRankNormal()
    >>> family.cov(family.init(jnp.zeros(2), jnp.array([1.0, 2.0]))).round(3).tolist()
    [[1.0, 0.0], [0.0, 4.0]]

    References
    ----------
    Kucukelbir, Tran, Ranganath, Gelman and Blei (2017). Automatic differentiation variational inference. JMLR 18, eq.
    8.
    """

    short_name = "full_rank"
    default_estimator = "sticking_the_landing"

    def init(self, mean: jax.Array, std: jax.Array) -> Params:
        dim = mean.size
        packed = jnp.zeros(dim * (dim + 1) // 2, mean.dtype)
        return {"mu": mean, "L_tril": packed.at[_diagonal(dim)].set(inverse_softplus(std))}

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        return standard_normal(key, params["mu"])

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        return params["mu"] + self.scale_tril(params) @ noise

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        factor = self.scale_tril(params)
        standardised = jax.scipy.linalg.solve_triangular(factor, z - params["mu"], lower=True)
        return normal_log_prob(standardised, jnp.log(jnp.diag(factor)))

    def entropy(self, params: Params) -> jax.Array:
        return normal_entropy(jnp.log(jax.nn.softplus(params["L_tril"][_diagonal(params["mu"].size)])))

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        return jnp.sqrt(jnp.sum(jnp.square(self.scale_tril(params)), axis=1))

    def cov(self, params: Params) -> jax.Array:
        factor = self.scale_tril(params)
        return factor @ factor.T

    def units(self, params: Params) -> Params:
        dim = params["mu"].size
        std = self.std(params)
        diagonal = params["L_tril"][_diagonal(dim)]
        rows, _ = np.tril_indices(dim)
        # The i entries of row i move together: each gets 1 / sqrt(i) of the row's standard deviation, so that a step of
        # all of them changes z_i by one unit, however large D is.
        row_unit = std / jnp.sqrt(jnp.arange(1, dim + 1, dtype=std.dtype))
        log_unit = jax.nn.softplus(diagonal) / jax.nn.sigmoid(diagonal)
        return {"mu": std, "L_tril": row_unit[rows].at[_diagonal(dim)].set(log_unit)}

    def scale_tril(self, params: Params) -> jax.Array:
        """The Cholesky factor ``L``, shape ``(D, D)``."""
        dim = params["mu"].size
        packed = params["L_tril"]
        packed = packed.at[_diagonal(dim)].set(jax.nn.softplus(packed[_diagonal(dim)]))
        return jnp.zeros((dim, dim), packed.dtype).at[np.tril_indices(dim)].set(packed)


def _diagonal(dim: int) -> np.ndarray:
    """Positions of the diagonal entries in the packed lower triangle."""
    return np.cumsum(np.arange(1, dim + 1)) - 1
