"""Regressions: linear and generalised linear models, with designs large and small."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from .registry import model

_ROWS = 40


def _design(
    seed: int, rows: int = _ROWS, columns: int = 3
) -> tuple[np.random.Generator, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(rows, columns))


@model()
def linear() -> pm.Model:
    """Regress on a design matrix of 7,680 bytes that is a constant of the graph."""
    rng, x = _design(31, rows=60, columns=16)
    y = x @ rng.normal(size=16) + 0.5 * rng.normal(size=60)
    with pm.Model() as built:
        intercept = pm.Normal("intercept", 0.0, 5.0)
        beta = pm.Normal("beta", 0.0, 1.0, shape=16)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", intercept + pt.dot(x, beta), sigma, observed=y)
    return built


@model()
def robust_linear() -> pm.Model:
    """Regress with Student-t noise of learned degrees of freedom."""
    rng, x = _design(32)
    y = x @ np.array([1.0, -0.5, 0.3]) + 0.5 * rng.standard_t(4, size=_ROWS)
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        nu = pm.Gamma("nu", 2.0, 0.1)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.StudentT("y", nu=nu, mu=x @ beta, sigma=sigma, observed=y)
    return built


@model()
def gamma_regression() -> pm.Model:
    """Regress a positive outcome with a learned shape."""
    rng, x = _design(33)
    y = rng.gamma(3.0, np.exp(x @ np.array([0.4, -0.2, 0.1])) / 3.0)
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        shape = pm.Exponential("shape", 0.3)
        pm.Gamma("y", alpha=shape, beta=shape / pt.exp(x @ beta), observed=y)
    return built


@model()
def beta_regression() -> pm.Model:
    """Regress a proportion with a learned precision."""
    rng, x = _design(34)
    mean = 1.0 / (1.0 + np.exp(-x @ np.array([0.4, -0.2, 0.1])))
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        precision = pm.Exponential("precision", 0.1)
        mu = pm.math.invlogit(x @ beta)
        pm.Beta(
            "y",
            mu * precision,
            (1.0 - mu) * precision,
            observed=rng.beta(mean * 8.0, (1.0 - mean) * 8.0),
        )
    return built


@model()
def logistic_regression() -> pm.Model:
    """Regress a binary outcome on the logit scale."""
    rng, x = _design(35)
    y = (x @ np.array([1.0, -1.0, 0.5]) + rng.logistic(size=_ROWS) > 0).astype(int)
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.5, shape=3)
        pm.Bernoulli("y", logit_p=x @ beta, observed=y)
    return built


@model()
def poisson() -> pm.Model:
    """Regress counts with an exposure."""
    rng, x = _design(37)
    exposure = rng.uniform(0.5, 2.0, size=_ROWS)
    y = rng.poisson(exposure * np.exp(0.5 + x @ np.array([0.4, -0.2, 0.1])))
    with pm.Model() as built:
        intercept = pm.Normal("intercept", 0.0, 2.0)
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        pm.Poisson("y", exposure * pt.exp(intercept + x @ beta), observed=y)
    return built


@model()
def negative_binomial() -> pm.Model:
    """Regress overdispersed counts."""
    rng, x = _design(38)
    mean = np.exp(1.0 + x @ np.array([0.4, -0.2, 0.1]))
    with pm.Model() as built:
        intercept = pm.Normal("intercept", 0.0, 2.0)
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        alpha = pm.Exponential("alpha", 0.5)
        mu = pt.exp(intercept + x @ beta)
        pm.NegativeBinomial(
            "y", mu=mu, alpha=alpha, observed=rng.poisson(mean * rng.gamma(2.0, 0.5, size=_ROWS))
        )
    return built


@model()
def ordered_logistic() -> pm.Model:
    """Regress an ordered outcome with learned cutpoints."""
    rng, x = _design(41, columns=2)
    y = np.digitize(x @ np.array([1.0, -0.6]) + rng.logistic(size=_ROWS), [-1.0, 0.3, 1.5])
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=2)
        cut = pm.Normal(
            "cut",
            0.0,
            2.0,
            shape=3,
            transform=pm.distributions.transforms.ordered,
            initval=[-1.0, 0.0, 1.0],
        )
        pm.OrderedLogistic("y", eta=x @ beta, cutpoints=cut, observed=y)
    return built


@model()
def categorical() -> pm.Model:
    """Regress a choice among three, the first being the reference."""
    rng, x = _design(43, columns=2)
    y = np.argmax(x @ rng.normal(size=(2, 3)) + rng.gumbel(size=(_ROWS, 3)), axis=1)
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=(2, 2))
        logits = pt.concatenate([pt.zeros((_ROWS, 1)), x @ beta], axis=1)
        pm.Categorical("y", logit_p=logits, observed=y)
    return built


@model()
def multinomial() -> pm.Model:
    """Regress counts of three kinds through a softmax."""
    rng, x = _design(44, rows=10, columns=2)
    weights = np.exp(x @ rng.normal(size=(2, 3)))
    y = rng.multinomial(15, weights / weights.sum(axis=1, keepdims=True))
    with pm.Model() as built:
        beta = pm.ZeroSumNormal("beta", 1.0, shape=(2, 3))
        pm.Multinomial("y", n=15, p=pm.math.softmax(x @ beta, axis=1), observed=y)
    return built


@model()
def dirichlet_multinomial() -> pm.Model:
    """Count kinds with overdispersion."""
    rng = np.random.default_rng(45)
    y = np.array([rng.multinomial(15, p) for p in rng.dirichlet([2.0, 3.0, 1.0], size=10)])
    with pm.Model() as built:
        a = pm.Gamma("a", 2.0, 0.5, shape=3)
        pm.DirichletMultinomial("y", n=15, a=a, observed=y)
    return built


@model()
def von_mises_regression() -> pm.Model:
    """Learn the concentration on a circle, which needs the gradient of a Bessel function."""
    rng, x = _design(46, columns=1)
    y = rng.vonmises(2.0 * np.arctan(0.8 * x[:, 0]), 3.0)
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0)
        kappa = pm.Exponential("kappa", 0.3)
        pm.VonMises("y", mu=2.0 * pt.arctan(beta * x[:, 0]), kappa=kappa, observed=y)
    return built


@model()
def rice_likelihood() -> pm.Model:
    """Learn both parameters of a Rice distribution from magnitudes."""
    rng = np.random.default_rng(47)
    y = np.hypot(rng.normal(1.5, 0.7, size=30), rng.normal(0.0, 0.7, size=30))
    with pm.Model() as built:
        nu = pm.HalfNormal("nu", 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Rice("y", nu=nu, sigma=sigma, observed=y)
    return built
