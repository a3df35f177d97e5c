"""The family of points: a value of each coordinate, without a width."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.composed.per_row import PerRow
from vi.families.composed.product import Product
from vi.families.family import FAMILIES, Family, Params

__all__ = ["Point", "point_entries", "widths"]


@FAMILIES.register
@dataclass(frozen=True)
class Point(Family):
    r"""One value of each coordinate, :math:`q = \delta_\mu`: a point estimate.

    Beside a distribution of the other variables, :math:`q(\theta, z) = \delta_{\hat\theta}(\theta)
    \, q(z)`, a fit maximises

    .. math:: E_{q(z)}[\log p(y, z, \hat\theta)] - E_{q(z)}[\log q(z)]
              \le \log p(y, \hat\theta) = \log p(\hat\theta) + \log p(y \mid \hat\theta)

    in :math:`\hat\theta` and q: the mode of :math:`\theta` with all others integrated out as far as
    q can (MAP), or with a flat prior type-II maximum likelihood, "empirical Bayes". The entropy of
    a point counts 0.

    The density :math:`p(\hat\theta)` is that of the variable as the model has it, as in
    :func:`vi.find_map`: the log Jacobian determinant of its transform is no part of the objective,
    nor of :meth:`vi.Approximation.logp`. So a scale's mode is that of the scale, not of its
    logarithm.

    Parameters ``mu`` and ``log_unit``, both ``(D,)``: the value, and the logarithm of the length of
    a step, which is the standard deviation at the start (``start_sigma``) and stays.

    References
    ----------
    Dempster, Laird and Rubin (1977). Maximum likelihood from incomplete data via the EM algorithm.
    JRSS B 39. Neal and Hinton (1998). A view of the EM algorithm that justifies incremental,
    sparse, and other variants.

    Examples
    --------
    A scale by type-II maximum likelihood, its effects by a distribution:

    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model():
    ...     tau = pm.HalfFlat("tau")
    ...     a = pm.Normal("a", 0.0, tau, shape=4)
    ...     pm.Normal("y", a, 1.0, observed=np.array([3.0, -3.0, 1.0, -1.0]))
    ...     groups = [vi.Group([tau], family="point"), vi.Group(None)]
    ...     approx = vi.KLqp(vi.Approximation(groups, random_seed=1)).fit(2000, progressbar=False)
    y
    >>> draws = approx.sample(100, random_seed=1)["posterior"]["tau"]
    >>> float(draws.max() - draws.min()), round(float(draws[0, 0]), 1)  # tau^2 + 1 = mean of y^2
    (0.0, 2.0)
    """

    short_name = "point"
    aliases = ("delta",)
    default_estimator = "closed_form"
    symmetric = True
    has_width = False

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        return {"mu": mean, "log_unit": jnp.log(std)}

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        # read by nothing: one number, so that draws have an axis to be counted along
        return jax.random.normal(key, (), params["mu"].dtype)

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        return params["mu"]

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        return jnp.zeros((), z.dtype)

    def entropy(self, params: Params) -> jax.Array:
        return jnp.zeros((), params["mu"].dtype)

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        return jnp.zeros_like(params["mu"])

    def cov(self, params: Params) -> jax.Array:
        return jnp.diag(jnp.zeros_like(params["mu"]))

    def units(self, params: Params) -> Params:
        return {
            "mu": jnp.exp(params["log_unit"]),
            "log_unit": jnp.ones_like(params["log_unit"]),
        }

    def trains(self, name: str) -> bool:
        return name != "log_unit"


def point_entries(family: Family, dim: int) -> np.ndarray:
    """The entries of the flat vector that are points, ``(P,)``, in order.

    Parameters
    ----------
    family : Family
        A family.
    dim : int
        Length ``D`` of the flat vector.
    """
    if isinstance(family, Product):
        found = [part.entries for part in family.parts if _is_point(part.family)]
        return np.sort(np.concatenate(found)) if found else np.empty(0, int)
    return np.arange(dim if _is_point(family) else 0)


def _is_point(family: Family) -> bool:
    return not (family.family if isinstance(family, PerRow) else family).has_width


def widths(family: Family, params: Params) -> jax.Array:
    """Standard deviations of q, ``(D,)``, and of points the length of a step in their place."""
    if isinstance(family, Product):
        pieces = family.split(params)
        found = [widths(p.family, own) for p, own in zip(family.parts, pieces, strict=True)]
        return family.assemble(found)
    if not _is_point(family):
        return family.std(params)
    return jnp.exp(params["log_unit"]).ravel()
