"""The mean-field normal family: independent normals."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.families.base import Family, Params, inverse_softplus, normal_entropy, normal_log_prob, standard_normal

__all__ = ["MeanFieldNormal"]


@dataclass(frozen=True)
class MeanFieldNormal(Family):
    r"""Independent normals, :math:`q(z) = \prod_i N(z_i \mid \mu_i, \mathrm{softplus}(\rho_i)^2)`.

    Parameters ``mu`` and ``rho``, both of shape ``(D,)``; memory and time ``O(D)``.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> family = MeanFieldNormal()
    >>> params = family.init(jnp.zeros(2), jnp.ones(2))
    >>> family.draw(params, family.noise(jax.random.key(0), params)).shape
    (2,)

    References
    ----------
    Kucukelbir, Tran, Ranganath, Gelman and Blei (2017). Automatic differentiation variational inference. JMLR 18, eq.
    7.
    """

    short_name = "mean_field"
    default_estimator = "closed_form"

    def init(self, mean: jax.Array, std: jax.Array) -> Params:
        return {"mu": mean, "rho": inverse_softplus(std)}

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        return standard_normal(key, params["mu"])

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        return params["mu"] + jax.nn.softplus(params["rho"]) * noise

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        scale = jax.nn.softplus(params["rho"])
        return normal_log_prob((z - params["mu"]) / scale, jnp.log(scale))

    def entropy(self, params: Params) -> jax.Array:
        return normal_entropy(jnp.log(jax.nn.softplus(params["rho"])))

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        return jax.nn.softplus(params["rho"])

    def cov(self, params: Params) -> jax.Array:
        return jnp.diag(jnp.square(self.std(params)))

    def units(self, params: Params) -> Params:
        scale = jax.nn.softplus(params["rho"])
        return {"mu": scale, "rho": scale / jax.nn.sigmoid(params["rho"])}
