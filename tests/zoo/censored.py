"""Censored and truncated likelihoods, whose log densities hold distribution functions and their
gradients.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from .registry import model


@model()
def censored_normal() -> pm.Model:
    """Censor a Normal on both sides."""
    y = np.clip(np.random.default_rng(91).normal(0.5, 1.5, size=30), -1.0, 2.0)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Censored("y", pm.Normal.dist(mu, sigma), lower=-1.0, upper=2.0, observed=y)
    return built


@model()
def censored_gamma() -> pm.Model:
    """Censor a Gamma: the incomplete gamma function's gradient in its shape."""
    y = np.minimum(np.random.default_rng(92).gamma(2.0, 1.0, size=30), 3.0)
    with pm.Model() as built:
        alpha = pm.Exponential("alpha", 0.5)
        beta = pm.Exponential("beta", 1.0)
        pm.Censored("y", pm.Gamma.dist(alpha, beta), lower=None, upper=3.0, observed=y)
    return built


@model(gaps={"jax": "Betainc: JAX has no gradient of betainc in its shapes"})
def censored_beta() -> pm.Model:
    """Censor a Beta: the incomplete beta function's gradient in its shapes."""
    y = np.minimum(np.random.default_rng(93).beta(2.0, 2.0, size=30), 0.7)
    with pm.Model() as built:
        a = pm.Exponential("a", 0.5)
        b = pm.Exponential("b", 0.5)
        pm.Censored("y", pm.Beta.dist(a, b), lower=None, upper=0.7, observed=y)
    return built


@model(gaps={"jax": "Betainc: JAX has no gradient of betainc in its shapes"})
def censored_student_t() -> pm.Model:
    """Censor a Student-t with learned degrees of freedom."""
    y = np.maximum(np.random.default_rng(94).standard_t(4, size=30), -1.0)
    with pm.Model() as built:
        nu = pm.Gamma("nu", 4.0, 1.0)
        mu = pm.Normal("mu", 0.0, 2.0)
        pm.Censored(
            "y", pm.StudentT.dist(nu=nu, mu=mu, sigma=1.0), lower=-1.0, upper=None, observed=y
        )
    return built


@model()
def weibull_survival() -> pm.Model:
    """Follow patients until an end of their own: a Weibull with a different bound for each row."""
    rng = np.random.default_rng(95)
    x = rng.normal(size=40)
    end = rng.uniform(0.5, 3.0, size=40)
    y = np.minimum(rng.weibull(1.5, size=40) * np.exp(0.5 * x), end)
    with pm.Model() as built:
        alpha = pm.Exponential("alpha", 0.5)
        beta = pm.Normal("beta", 0.0, 1.0, shape=2)
        time = pm.Weibull.dist(alpha, pt.exp(beta[0] + beta[1] * x))
        pm.Censored("y", time, lower=None, upper=end, observed=y)
    return built


@model()
def truncated_normal_likelihood() -> pm.Model:
    """See only what is above a bound."""
    rng = np.random.default_rng(97)
    y = rng.normal(0.0, 1.5, size=60)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.TruncatedNormal("y", mu, sigma, lower=0.2, observed=y[y > 0.2])
    return built


@model()
def truncated_gamma() -> pm.Model:
    """Truncate a Gamma from above: its log density holds the log of its distribution function."""
    rng = np.random.default_rng(98)
    y = rng.gamma(2.0, 1.0, size=40)
    with pm.Model() as built:
        alpha = pm.Exponential("alpha", 0.5)
        beta = pm.Exponential("beta", 1.0)
        pm.Truncated("y", pm.Gamma.dist(alpha, beta), lower=None, upper=2.5, observed=y[y < 2.5])
    return built


@model(gaps={"jax": "Betainc: JAX has no gradient of betainc in its shapes"})
def truncated_student_t() -> pm.Model:
    """Truncate a Student-t with learned degrees of freedom on both sides."""
    rng = np.random.default_rng(99)
    y = rng.standard_t(4, size=60)
    with pm.Model() as built:
        nu = pm.Gamma("nu", 4.0, 1.0)
        mu = pm.Normal("mu", 0.0, 2.0)
        base = pm.StudentT.dist(nu=nu, mu=mu, sigma=1.0)
        pm.Truncated("y", base, lower=-1.5, upper=2.0, observed=y[(y > -1.5) & (y < 2.0)])
    return built


@model()
def truncated_poisson() -> pm.Model:
    """Count without zeros."""
    y = np.random.default_rng(100).poisson(2.0, size=40)
    with pm.Model() as built:
        mu = pm.Gamma("mu", 2.0, 1.0)
        pm.Truncated("y", pm.Poisson.dist(mu), lower=1, upper=None, observed=y[y > 0])
    return built


@model()
def truncated_free() -> pm.Model:
    """Truncate the priors of two free variables, a Gumbel and a Normal."""
    with pm.Model() as built:
        a = pm.Truncated("a", pm.Gumbel.dist(0.5, 1.0), lower=-0.5, upper=2.0)
        b = pm.Truncated("b", pm.Normal.dist(0.0, 1.0), lower=0.3, upper=None, shape=2)
        pm.Normal("y", a * b, 0.5, observed=np.array([0.6, 1.1]))
    return built


@model()
def rounded_normal() -> pm.Model:
    """See a Normal only after rounding: log density from differences of distribution functions."""
    y = np.round(np.random.default_rng(101).normal(0.5, 1.5, size=20))
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.CustomDist(
            "y",
            mu,
            sigma,
            dist=lambda mu, sigma, size: pt.round(pm.Normal.dist(mu, sigma, size=size)),
            observed=y,
        )
    return built
