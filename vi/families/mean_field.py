"""The mean-field family: independent coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from vi.families.base_distributions import Base, Normal, check_base
from vi.families.family import FAMILIES, Family, Params, inverse_softplus

__all__ = ["MeanField"]


@FAMILIES.register
@dataclass(frozen=True)
class MeanField(Family):
    r"""Coordinates with a location and a scale each.

    .. math:: z_i = \mu_i + \mathrm{softplus}(\rho_i)\, e_i

    With the default base, independent normals :math:`q(z) = \prod_i N(z_i \mid \mu_i,
    \mathrm{softplus}(\rho_i)^2)`. Parameters ``mu`` and ``rho``, both of shape ``(D,)``; memory and
    time ``O(D)``.

    Parameters
    ----------
    base : Base
        Distribution of ``e``, :class:`vi.families.StudentT` for example.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> family = MeanField()
    >>> params = family.init(jnp.zeros(2), jnp.ones(2), jax.random.key(0))
    >>> family.draw(params, family.noise(jax.random.key(1), params)).shape
    (2,)

    References
    ----------
    Kucukelbir, Tran, Ranganath, Gelman and Blei (2017). Automatic differentiation variational
    inference. JMLR 18, eq. 7.
    """

    base: Base = field(default_factory=Normal)
    short_name = "mean_field"
    aliases = ("mf",)
    default_estimator = "closed_form"

    def __post_init__(self) -> None:
        check_base(self, self.base)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the base is."""
        return self.base.symmetric

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        return {"mu": mean, "rho": inverse_softplus(std / self.base.std)}

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        return self.base.noise(key, params["mu"].size, params["mu"].dtype)

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        return params["mu"] + jax.nn.softplus(params["rho"]) * noise

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        scale = jax.nn.softplus(params["rho"])
        log_q: jax.Array = self.base.log_prob((z - params["mu"]) / scale) - jnp.sum(jnp.log(scale))
        return log_q

    def entropy(self, params: Params) -> jax.Array:
        entropy: jax.Array = self.base.entropy(params["mu"].size) + jnp.sum(
            jnp.log(jax.nn.softplus(params["rho"]))
        )
        return entropy

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        std: jax.Array = self.base.std * jax.nn.softplus(params["rho"])
        return std

    def cov(self, params: Params) -> jax.Array:
        return jnp.diag(jnp.square(self.std(params)))

    def units(self, params: Params) -> Params:
        return {
            "mu": self.std(params),
            "rho": jax.nn.softplus(params["rho"]) / jax.nn.sigmoid(params["rho"]),
        }
