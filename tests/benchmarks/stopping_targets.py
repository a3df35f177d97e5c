"""Targets for checks that end a run: easy ones, ridges, hierarchies, odd units, minibatches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor.tensor as pt

import vi

__all__ = ["TARGETS"]

TARGETS: dict[str, Callable[[], pm.Model]] = {}
"""Functions that build a model, by name."""


def target(build: Callable[[], pm.Model]) -> Callable[[], pm.Model]:
    """Put a function into the table."""
    TARGETS[build.__name__] = build
    return build


def normal(cov: np.ndarray, mean: np.ndarray | float) -> pm.Model:
    """A known normal."""
    with pm.Model() as model:
        pm.MvNormal("x", mean * np.ones(len(cov)), cov)
    return model


@target
def standard_normal() -> pm.Model:
    return normal(np.eye(10), 1.0)


@target
def equicorrelated() -> pm.Model:
    """Fifty dimensions, all correlations 0.9, ten sds away."""
    return normal(0.1 * np.eye(50) + 0.9, 10.0)


@target
def narrow_valley() -> pm.Model:
    """Two dimensions with a correlation of 0.995."""
    return normal(np.array([[1.0, 0.995], [0.995, 1.0]]), 3.0)


@target
def ill_scaled() -> pm.Model:
    """Units of 1e-3, 1 and 1e6."""
    scale = np.array([1e-3, 1e-3, 1.0, 1.0, 1e6, 1e6])
    return normal(np.diag(scale**2), scale)


@target
def small_units() -> pm.Model:
    """A mean and a deviation of data in units of 1e-3."""
    y = 1e3 * np.random.default_rng(1).normal(100.0, 1.0, 100)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1e6)
        pm.Normal("y", mu, pm.HalfNormal("sigma", 1e4), observed=y)
    return model


def groups(count: int, rows: int, offset: bool, noise: float = 1.0) -> pm.Model:
    """Intercepts of groups, as scale times offset or centred."""
    rng = np.random.default_rng(count)
    group = np.repeat(np.arange(count), rows)
    y = 2.0 + 0.8 * rng.normal(size=count)[group] + noise * rng.normal(size=len(group))
    with pm.Model() as model:
        level, scale = pm.Normal("level", 0.0, 5.0), pm.HalfNormal("scale", 2.0)
        if offset:
            effect = level + scale * pm.Normal("offset", 0.0, 1.0, shape=count)
        else:
            effect = pm.Normal("effect", level, scale, shape=count)
        pm.Normal("y", effect[group], pm.HalfNormal("noise", 2.0), observed=y)
    return model


@target
def offsets_12() -> pm.Model:
    return groups(12, 33, offset=True)


@target
def offsets_20() -> pm.Model:
    return groups(20, 25, offset=True, noise=0.3)


@target
def offsets_85() -> pm.Model:
    return groups(85, 11, offset=True)


@target
def centred_20() -> pm.Model:
    return groups(20, 25, offset=False)


def schools(offset: bool) -> pm.Model:
    """The eight schools."""
    effects = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    errors = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
        if offset:
            theta = mu + tau * pm.Normal("offset", 0.0, 1.0, shape=8)
        else:
            theta = pm.Normal("theta", mu, tau, shape=8)
        pm.Normal("y", theta, errors, observed=effects)
    return model


@target
def schools_offset() -> pm.Model:
    return schools(offset=True)


@target
def schools_centred() -> pm.Model:
    return schools(offset=False)


@target
def autoregression() -> pm.Model:
    """Fifty latent values of an AR(1), seen with noise."""
    rng = np.random.default_rng(3)
    shocks, latent = 0.5 * rng.normal(size=50), np.zeros(50)
    for t in range(1, 50):
        latent[t] = 0.9 * latent[t - 1] + shocks[t]
    with pm.Model() as model:
        persistence = pm.Uniform("persistence", -1.0, 1.0)
        scale = pm.HalfNormal("scale", 1.0)
        steps = pm.Normal("steps", 0.0, 1.0, shape=50)
        powers = np.subtract.outer(np.arange(50), np.arange(50))
        past = pt.where(powers >= 0, persistence ** np.maximum(powers, 0), 0.0)
        mean = scale * (past * steps).sum(axis=1)
        pm.Normal("y", mean, 0.3, observed=latent + 0.3 * rng.normal(size=50))
    return model


@target
def volatility() -> pm.Model:
    """Stochastic volatility of a hundred returns."""
    rng = np.random.default_rng(4)
    h = np.zeros(100)
    for t in range(1, 100):
        h[t] = 0.96 * h[t - 1] + 0.25 * rng.normal()
    with pm.Model() as model:
        level = pm.Normal("level", 0.0, 2.0)
        persistence = pm.Beta("persistence", 20.0, 1.5)
        scale = pm.HalfNormal("scale", 0.5)
        walk = pm.Normal("h", 0.0, 1.0, shape=100)
        past = pt.concatenate([[0.0], walk[:-1]])
        pm.Potential("chain", pm.logp(pm.Normal.dist(persistence * past, scale), walk).sum())
        pm.Normal(
            "y", 0.0, pt.exp((level + walk) / 2), observed=np.exp(h / 2) * rng.normal(size=100)
        )
    return model


def design(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns that are correlated, and coefficients."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) + 0.7 * rng.normal(size=(rows, 1))
    return x, rng.normal(size=columns)


@target
def linear() -> pm.Model:
    x, beta = design(200, 5, seed=5)
    y = x @ beta + np.random.default_rng(5).normal(size=200)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 5.0, shape=5)
        pm.Normal("y", (x * slopes).sum(axis=1), pm.HalfNormal("noise", 2.0), observed=y)
    return model


@target
def logistic() -> pm.Model:
    x, beta = design(300, 8, seed=6)
    y = np.random.default_rng(6).random(300) < 1 / (1 + np.exp(-x @ beta))
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 2.0, shape=8)
        pm.Bernoulli("y", logit_p=(x * slopes).sum(axis=1), observed=y.astype(int))
    return model


@target
def poisson() -> pm.Model:
    x, beta = design(200, 4, seed=7)
    y = np.random.default_rng(7).poisson(np.exp(1.0 + 0.3 * x @ beta))
    with pm.Model() as model:
        level, slopes = pm.Normal("level", 0.0, 3.0), pm.Normal("slopes", 0.0, 1.0, shape=4)
        pm.Poisson("y", pt.exp(level + (x * slopes).sum(axis=1)), observed=y)
    return model


@target
def student_t() -> pm.Model:
    """A robust regression, whose tails are learned."""
    x, beta = design(150, 3, seed=8)
    y = x @ beta + np.random.default_rng(8).standard_t(3, size=150)
    with pm.Model() as model:
        slopes, nu = pm.Normal("slopes", 0.0, 5.0, shape=3), pm.Gamma("nu", 2.0, 0.1)
        noise = pm.HalfNormal("noise", 2.0)
        pm.StudentT("y", nu=nu, mu=(x * slopes).sum(axis=1), sigma=noise, observed=y)
    return model


@target
def ordinal() -> pm.Model:
    x, beta = design(250, 3, seed=9)
    latent = x @ beta + np.random.default_rng(9).logistic(size=250)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 2.0, shape=3)
        cuts = pm.Normal(
            "cuts",
            0.0,
            3.0,
            shape=3,
            transform=pm.distributions.transforms.ordered,
            initval=np.array([-1.0, 0.0, 1.0]),
        )
        pm.OrderedLogistic(
            "y",
            cutpoints=cuts,
            eta=(x * slopes).sum(axis=1),
            observed=np.digitize(latent, [-1.0, 0.5, 2.0]),
        )
    return model


@target
def gamma() -> pm.Model:
    """Waiting times: skewed posteriors of positive parameters."""
    y = np.random.default_rng(10).gamma(2.0, 1.5, size=30)
    with pm.Model() as model:
        pm.Gamma("y", pm.HalfNormal("alpha", 5.0), pm.HalfNormal("beta", 5.0), observed=y)
    return model


@target
def logistic_minibatch() -> pm.Model:
    """Batches of 100 of 10,000 rows."""
    x, beta = design(10_000, 8, seed=11)
    y = np.random.default_rng(11).random(10_000) < 1 / (1 + np.exp(-x @ beta))
    rows, labels = vi.Minibatch(x, y.astype(np.int64), batch_size=100)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 2.0, shape=8)
        p = (rows * slopes).sum(axis=1)
        pm.Bernoulli("y", logit_p=p, observed=labels, total_size=10_000)
    return model


@target
def linear_minibatch() -> pm.Model:
    """Batches of 200 of 40,000 rows."""
    x, beta = design(40_000, 10, seed=12)
    y = x @ beta + np.random.default_rng(12).normal(size=40_000)
    rows, values = vi.Minibatch(x, y, batch_size=200)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 5.0, shape=10)
        noise = pm.HalfNormal("noise", 2.0)
        mean = (rows * slopes).sum(axis=1)
        pm.Normal("y", mean, noise, observed=values, total_size=40_000)
    return model


@target
def columns_minibatch() -> pm.Model:
    """A mean and a deviation for each of 15 columns; batches of 200 of 4,000 rows."""
    rng = np.random.default_rng(13)
    y = rng.normal(rng.normal(size=15), rng.uniform(0.5, 2.0, 15), size=(4_000, 15))
    rows = vi.Minibatch(y, batch_size=200)
    with pm.Model() as model:
        mu, sigma = pm.Normal("mu", 0.0, 10.0, shape=15), pm.HalfNormal("sigma", 5.0, shape=15)
        pm.Normal("y", mu, sigma, observed=rows, total_size=(4_000, None))
    return model
