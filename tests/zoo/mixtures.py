"""Mixtures, with components of one kind or of several, and likelihoods inflated or hurdled
at zero.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import ordered

from .registry import model


@model()
def normal_mixture() -> pm.Model:
    """Mix three Normals with ordered means."""
    rng = np.random.default_rng(81)
    y = rng.normal(np.array([-2.0, 0.5, 3.0])[rng.integers(0, 3, size=40)], 0.6)
    with pm.Model() as built:
        w = pm.Dirichlet("w", a=np.ones(3))
        mu = pm.Normal("mu", 0.0, 3.0, shape=3, transform=ordered, initval=[-1.5, 0.0, 1.5])
        sigma = pm.HalfNormal("sigma", 1.0, shape=3)
        pm.NormalMixture("y", w=w, mu=mu, sigma=sigma, observed=y)
    return built


@model()
def free_mixture() -> pm.Model:
    """Use a mixture of Normals as a prior: a free variable with two modes."""
    with pm.Model() as built:
        x = pm.NormalMixture(
            "x", w=np.array([0.3, 0.7]), mu=np.array([-1.5, 1.0]), sigma=0.6, shape=2
        )
        pm.Normal("y", x, 2.0, observed=np.array([0.4, -0.2]))
    return built


@model()
def mixture_of_kinds() -> pm.Model:
    """Mix a Normal with a Student-t of the same centre."""
    rng = np.random.default_rng(82)
    y = np.concatenate([rng.normal(0.5, 0.5, size=30), rng.standard_t(2, size=6) * 4.0])
    with pm.Model() as built:
        w = pm.Dirichlet("w", a=np.array([4.0, 1.0]))
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        comps = [pm.Normal.dist(mu, sigma), pm.StudentT.dist(nu=3.0, mu=mu, sigma=5.0)]
        pm.Mixture("y", w=w, comp_dists=comps, observed=y)
    return built


@model()
def mixture_of_mv_normals() -> pm.Model:
    """Mix two bivariate Normals."""
    rng = np.random.default_rng(83)
    y = np.concatenate(
        [rng.normal([-1.0, 1.0], 0.5, size=(15, 2)), rng.normal([1.5, 0.0], 0.7, size=(15, 2))]
    )
    with pm.Model() as built:
        w = pm.Dirichlet("w", a=np.array([2.0, 2.0]))
        mu = pm.Normal("mu", np.array([[-1.0, 0.5], [1.0, 0.5]]), 1.0)
        sigma = pm.HalfNormal("sigma", 1.0, shape=2)
        comps = [pm.MvNormal.dist(mu[k], cov=sigma[k] ** 2 * pt.eye(2)) for k in range(2)]
        pm.Mixture("y", w=w, comp_dists=comps, observed=y)
    return built


@model()
def zero_inflated_poisson() -> pm.Model:
    """Count with more zeros than Poisson, in a regression."""
    rng = np.random.default_rng(84)
    x = rng.normal(size=40)
    y = rng.poisson(np.exp(0.8 + 0.4 * x)) * (rng.random(40) < 0.7)
    with pm.Model() as built:
        psi = pm.Beta("psi", 2.0, 2.0)
        beta = pm.Normal("beta", 0.0, 1.0, shape=2)
        pm.ZeroInflatedPoisson("y", psi=psi, mu=pt.exp(beta[0] + beta[1] * x), observed=y)
    return built


@model()
def zero_inflated_negative_binomial() -> pm.Model:
    """Count with more zeros and more spread than Poisson."""
    rng = np.random.default_rng(85)
    y = rng.negative_binomial(2.0, 0.4, size=40) * (rng.random(40) < 0.7)
    with pm.Model() as built:
        psi = pm.Beta("psi", 2.0, 2.0)
        mu = pm.Gamma("mu", 2.0, 0.5)
        alpha = pm.Exponential("alpha", 0.5)
        pm.ZeroInflatedNegativeBinomial("y", psi=psi, mu=mu, alpha=alpha, observed=y)
    return built


@model()
def hurdle_gamma() -> pm.Model:
    """Measure a positive amount with a hurdle at zero."""
    rng = np.random.default_rng(88)
    y = rng.gamma(2.0, 1.0, size=30) * (rng.random(30) < 0.6)
    with pm.Model() as built:
        psi = pm.Beta("psi", 2.0, 2.0)
        alpha = pm.Exponential("alpha", 0.5)
        beta = pm.Exponential("beta", 1.0)
        pm.HurdleGamma("y", psi=psi, alpha=alpha, beta=beta, observed=y)
    return built


@model()
def regression_mixture() -> pm.Model:
    """Mix two lines, whose predictor is a column of length-1 rows, large enough to be lifted out.

    The log of the sum over components subtracts the largest term, by an entry that is equal to it.
    """
    rng = np.random.default_rng(89)
    x = rng.normal(size=200)
    y = np.where(rng.random(200) < 0.4, 2.0 + x, -1.0 - x) + 0.7 * rng.normal(size=200)
    with pm.Model() as built:
        w = pm.Dirichlet("w", a=np.full(2, 2.0))
        a = pm.Normal("a", 0.0, 3.0, shape=2)
        b = pm.Normal("b", 0.0, 3.0, shape=2)
        sigma = pm.HalfNormal("sigma", 1.0, shape=2)
        lines = pm.Normal.dist(a + x[:, None] * b, sigma)
        pm.Mixture("y", w=w, comp_dists=lines, observed=y)
    return built
