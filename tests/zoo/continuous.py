"""Every continuous univariate distribution as a free variable with its default transform: one
entry each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pymc as pm
from pytensor.tensor import TensorVariable

from .registry import Entry, add

Prior = Callable[[], TensorVariable]


def _posterior(prior: Prior, near: float) -> Callable[[], pm.Model]:
    """Build two variables from the prior, each seen three times with Normal noise around
    ``near``.
    """

    def build() -> pm.Model:
        observed = near + 0.3 * np.random.default_rng(11).normal(size=(3, 2))
        with pm.Model() as built:
            pm.Normal("y", prior(), 0.5, observed=observed)
        return built

    return build


def _add(name: str, prior: Prior, *, near: float, gaps: Mapping[str, str] | None = None) -> None:
    add(Entry(name, _posterior(prior, near), dict(gaps or {})))


_GRID = np.linspace(-3.0, 3.0, 41)

# On the real line
_add("normal", lambda: pm.Normal("x", 0.5, 2.0, shape=2), near=1.0)
_add("cauchy", lambda: pm.Cauchy("x", 0.0, 1.5, shape=2), near=1.0)
_add("student_t", lambda: pm.StudentT("x", nu=4.0, mu=0.2, sigma=1.5, shape=2), near=1.0)
# The prior's mode, at which PyMC starts, is a kink.
_add("laplace", lambda: pm.Laplace("x", 0.3, 1.2, shape=2), near=1.0)
_add(
    "asymmetric_laplace",
    lambda: pm.AsymmetricLaplace("x", kappa=1.4, mu=0.1, b=0.8, shape=2),
    near=1.0,
)
_add("logistic", lambda: pm.Logistic("x", 0.3, 1.1, shape=2), near=1.0)
_add("gumbel", lambda: pm.Gumbel("x", 0.3, 1.1, shape=2), near=1.0)
_add("moyal", lambda: pm.Moyal("x", 0.3, 1.1, shape=2), near=1.0)
_add("ex_gaussian", lambda: pm.ExGaussian("x", mu=0.2, sigma=0.7, nu=1.1, shape=2), near=1.0)
_add("skew_normal", lambda: pm.SkewNormal("x", mu=0.2, sigma=1.3, alpha=2.0, shape=2), near=1.0)
_add(
    "skew_student_t",
    lambda: pm.SkewStudentT("x", a=3.0, b=2.0, mu=0.2, sigma=1.3, shape=2),
    near=1.0,
)
_add("flat", lambda: pm.Flat("x", shape=2), near=1.0)

# Positive
_add("half_normal", lambda: pm.HalfNormal("x", 1.5, shape=2), near=1.0)
_add("half_cauchy", lambda: pm.HalfCauchy("x", 1.5, shape=2), near=1.0)
_add("half_student_t", lambda: pm.HalfStudentT("x", nu=4.0, sigma=1.5, shape=2), near=1.0)
_add("half_flat", lambda: pm.HalfFlat("x", shape=2), near=1.5)
_add("exponential", lambda: pm.Exponential("x", 0.7, shape=2), near=1.0)
_add("gamma", lambda: pm.Gamma("x", alpha=2.5, beta=1.5, shape=2), near=1.0)
_add("inverse_gamma", lambda: pm.InverseGamma("x", alpha=3.5, beta=2.5, shape=2), near=1.0)
_add("log_normal", lambda: pm.LogNormal("x", 0.1, 0.8, shape=2), near=1.0)
_add("wald", lambda: pm.Wald("x", mu=1.2, lam=2.5, shape=2), near=1.0)
_add("weibull", lambda: pm.Weibull("x", alpha=1.7, beta=1.3, shape=2), near=1.0)
_add("chi_squared", lambda: pm.ChiSquared("x", nu=3.0, shape=2), near=1.5)
_add("rice", lambda: pm.Rice("x", nu=0.8, sigma=1.2, shape=2), near=1.0)
_add(
    "polya_gamma",
    lambda: pm.PolyaGamma("x", h=1.0, z=0.5, shape=2),
    near=0.3,
    gaps={
        "jax": "_PolyaGammaLogDistFunc: no JAX conversion",
        "pytensor": "_PolyaGammaLogDistFunc: no gradient, and no value without the polyagamma "
        "package",
    },
)

# On an interval or a half-line with an end that is not zero
_add("beta", lambda: pm.Beta("x", 2.5, 1.5, shape=2), near=0.5)
_add("kumaraswamy", lambda: pm.Kumaraswamy("x", 2.5, 1.5, shape=2), near=0.5)
_add("uniform", lambda: pm.Uniform("x", -1.0, 3.0, shape=2), near=1.0)
_add("triangular", lambda: pm.Triangular("x", lower=-1.0, c=0.4, upper=3.0, shape=2), near=1.0)
# Its value variable has no transform, yet its support is (0, 1): log p is minus infinity outside.
_add("logit_normal", lambda: pm.LogitNormal("x", 0.2, 0.9, shape=2), near=0.5)
_add("pareto", lambda: pm.Pareto("x", alpha=2.5, m=0.6, shape=2), near=1.0)
_add(
    "interpolated",
    lambda: pm.Interpolated("x", _GRID, np.exp(-(np.abs(_GRID) ** 1.5)), shape=2),
    near=0.5,
    gaps={"jax": "SplineWrapper: no JAX conversion"},
)
_add(
    "truncated_normal",
    lambda: pm.TruncatedNormal("x", 0.5, 1.2, lower=-1.0, upper=2.5, shape=2),
    near=1.0,
)
_add(
    "truncated_normal_below",
    lambda: pm.TruncatedNormal("x", 0.5, 1.2, lower=0.2, shape=2),
    near=1.0,
)
_add(
    "truncated_normal_above",
    lambda: pm.TruncatedNormal("x", 0.5, 1.2, upper=2.5, shape=2),
    near=1.0,
)

# On the circle
_add("von_mises", lambda: pm.VonMises("x", mu=0.5, kappa=2.0, shape=2), near=1.0)
