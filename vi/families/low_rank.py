"""The low-rank family: a diagonal plus a few directions, for large dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from vi.families.base_distributions import Base, Elliptical, Normal, check_base
from vi.families.family import FAMILIES, Family, Noise, Params, inverse_softplus
from vi.foundation.numbers import whole

__all__ = ["LowRank"]

LARGEST_DEFAULT_RANK = 32
"""The default rank grows like sqrt(D) up to here: a step costs ``O(D r^2)``."""

START_SHARE = 0.01
"""Share of the variance at the start that lies in the factors: not 0, where their gradient is 0."""


@FAMILIES.register
@dataclass(frozen=True)
class LowRank(Family):
    r"""A diagonal plus ``r`` directions, :math:`z = \mu + d \odot e_1 + U e_2`.

    With the default base :math:`q(z) = N(z \mid \mu, \mathrm{diag}(d^2) + U U^\top)`, :math:`d =
    \mathrm{softplus}(\rho)`. Parameters ``mu`` and ``rho`` of shape ``(D,)`` and ``U`` of shape
    ``(D, r)``. The density goes through the ``(r, r)`` matrix :math:`I + U^\top d^{-2} U` (Woodbury
    identity): memory is ``O(D r)`` and time ``O(D r^2)``, of which all but a matrix product is
    ``O(D r)``.

    Parameters
    ----------
    rank : int, optional
        ``r``; by default ``min(ceil(sqrt(D)), 32)``. More than ``D`` is taken as ``D``.
    base : Elliptical
        Distribution of ``(e_1, e_2)``: :class:`vi.families.Normal` or
        :class:`vi.families.MultivariateT` (others have no closed-form density here).

    Raises
    ------
    ValueError
        If ``rank`` is no whole number of at least 1.
    TypeError
        If the base is not elliptical.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> family = LowRank(rank=2)
    >>> params = family.init(jnp.zeros(5), jnp.ones(5), jax.random.key(0))
    >>> params["U"].shape, bool(jnp.allclose(family.std(params), 1.0))
    ((5, 2), True)

    References
    ----------
    Ong, Nott and Smith (2018). Gaussian variational approximation with a factor covariance
    structure. Journal of Computational and Graphical Statistics 27, section 3.
    """

    rank: int | None = None
    base: Elliptical = field(default_factory=Normal)
    short_name = "low_rank"
    aliases = ("lr",)
    default_estimator = "sticking_the_landing"
    estimator_of_plain_steps = "closed_form"
    pairs_in_batches = True
    default_draws = 8

    def __post_init__(self) -> None:
        if self.rank is not None:
            object.__setattr__(self, "rank", whole("LowRank(rank", self.rank, 1))
        if isinstance(self.base, Base) and not isinstance(self.base, Elliptical):
            raise TypeError(
                f"LowRank(base={self.base!r}): only elliptical bases have a density here: Normal, "
                "MultivariateT."
            )
        check_base(self, self.base)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the base is."""
        return self.base.symmetric

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        dim = mean.size
        rank = (
            min(math.ceil(math.sqrt(dim)), LARGEST_DEFAULT_RANK)
            if self.rank is None
            else min(self.rank, dim)
        )
        scale = std / self.base.std
        directions = jax.random.normal(key, (dim, rank), mean.dtype)
        lengths = jnp.linalg.norm(directions, axis=1, keepdims=True)
        factors = math.sqrt(START_SHARE) * scale[:, None] * directions / lengths
        return {
            "mu": mean,
            "rho": inverse_softplus(math.sqrt(1.0 - START_SHARE) * scale),
            "U": factors,
        }

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return self.base.noise(key, sum(params["U"].shape), params["mu"].dtype)

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        each, common = jnp.split(noise, [params["mu"].size])
        return params["mu"] + jax.nn.softplus(params["rho"]) * each + params["U"] @ common

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        scaled, factor, log_det = self._parts(params)
        standardised = (z - params["mu"]) / jax.nn.softplus(params["rho"])
        # s' (I + A A')^-1 s as the minimum of |s - A w|^2 + |w|^2 over w: nothing cancels
        weights = jax.scipy.linalg.cho_solve((factor, True), scaled.T @ standardised)
        square = jnp.sum(jnp.square(standardised - scaled @ weights)) + jnp.sum(jnp.square(weights))
        return self.base.log_prob_of_square(square, z.size) - log_det

    def entropy(self, params: Params) -> jax.Array:
        return self.base.entropy(params["mu"].size) + self._parts(params)[2]

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        variance = jnp.square(jax.nn.softplus(params["rho"])) + jnp.sum(
            jnp.square(params["U"]), axis=1
        )
        return self.base.std * jnp.sqrt(variance)

    def cov(self, params: Params) -> jax.Array:
        shape = jnp.diag(jnp.square(jax.nn.softplus(params["rho"]))) + params["U"] @ params["U"].T
        return self.base.std**2 * shape

    def units(self, params: Params) -> Params:
        std = self.std(params)
        rank = params["U"].shape[1]
        return {
            "mu": std,
            "rho": jax.nn.softplus(params["rho"]) / jax.nn.sigmoid(params["rho"]),
            "U": jnp.broadcast_to(std[:, None] / math.sqrt(rank), params["U"].shape),
        }

    def _parts(self, params: Params) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The matrices behind the density.

        ``A = U / d`` (D, r), the Cholesky factor of ``I + A' A`` (r, r), and half the log
        determinant of the scale matrix.
        """
        scale = jax.nn.softplus(params["rho"])
        scaled = params["U"] / scale[:, None]
        factor = jnp.linalg.cholesky(
            jnp.eye(scaled.shape[1], dtype=scaled.dtype) + scaled.T @ scaled
        )
        return scaled, factor, jnp.sum(jnp.log(scale)) + jnp.sum(jnp.log(jnp.diag(factor)))
