"""Hierarchical models: centred, non-centred, with shared index arrays, with crossed groups."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor

from .registry import model

_EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
_ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


@model()
def eight_schools_centred() -> pm.Model:
    """Draw each school's effect directly: the density is unbounded as tau goes to zero."""
    with pm.Model(coords={"school": list("ABCDEFGH")}) as built:
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfCauchy("tau", 5.0)
        theta = pm.Normal("theta", mu, tau, dims="school")
        pm.Normal("y", theta, _ERRORS, observed=_EFFECTS, dims="school")
    return built


@model()
def eight_schools() -> pm.Model:
    """Draw each school's effect as a scaled standard Normal."""
    with pm.Model(coords={"school": list("ABCDEFGH")}) as built:
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfCauchy("tau", 5.0)
        raw = pm.Normal("raw", 0.0, 1.0, dims="school")
        theta = pm.Deterministic("theta", mu + tau * raw, dims="school")
        pm.Normal("y", theta, _ERRORS, observed=_EFFECTS, dims="school")
    return built


@model()
def varying_intercepts() -> pm.Model:
    """Vary intercepts by county with a floor effect; the county index is a constant of the
    graph.
    """
    rng = np.random.default_rng(51)
    county = rng.integers(0, 12, size=60)
    floor = rng.integers(0, 2, size=60)
    y = 1.3 + 0.4 * rng.normal(size=12)[county] - 0.6 * floor + 0.7 * rng.normal(size=60)
    with pm.Model(coords={"county": np.arange(12)}) as built:
        mu = pm.Normal("mu", 0.0, 3.0)
        tau = pm.HalfNormal("tau", 1.0)
        alpha = pm.Normal("alpha", mu, tau, dims="county")
        slope = pm.Normal("slope", 0.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", alpha[county] + slope * floor, sigma, observed=y)
    return built


@model()
def shared_index() -> pm.Model:
    """Index two sets of effects with integer arrays that are shared variables, one of them
    twice.
    """
    rng = np.random.default_rng(52)
    person = pytensor.shared(rng.integers(0, 6, size=50), name="person")
    item = pytensor.shared(rng.integers(0, 5, size=50), name="item")
    observed = rng.integers(0, 2, size=50)
    with pm.Model() as built:
        ability = pm.Normal("ability", 0.0, 1.0, shape=6)
        difficulty = pm.Normal("difficulty", 0.0, 1.0, shape=5)
        slope = pm.LogNormal("slope", 0.0, 0.5, shape=5)
        pm.Bernoulli(
            "y", logit_p=slope[item] * (ability[person] - difficulty[item]), observed=observed
        )
    return built


@model()
def varying_slopes() -> pm.Model:
    """Vary intercepts and slopes together, with a learned correlation."""
    rng = np.random.default_rng(53)
    group = rng.integers(0, 5, size=50)
    x = rng.normal(size=50)
    effects = rng.multivariate_normal([1.0, -0.5], [[0.5, 0.2], [0.2, 0.4]], size=5)
    y = effects[group, 0] + effects[group, 1] * x + 0.5 * rng.normal(size=50)
    with pm.Model() as built:
        chol, _, _ = pm.LKJCholeskyCov(
            "chol", n=2, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0, shape=2)
        )
        mu = pm.Normal("mu", 0.0, 2.0, shape=2)
        raw = pm.Normal("raw", 0.0, 1.0, shape=(5, 2))
        effect = pm.Deterministic("effect", mu + raw @ chol.T)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", effect[group, 0] + effect[group, 1] * x, sigma, observed=y)
    return built


@model()
def funnel() -> pm.Model:
    """Draw Neal's funnel: no data, one scale and five variables under it."""
    with pm.Model() as built:
        log_scale = pm.Normal("log_scale", 0.0, 3.0)
        pm.Normal("x", 0.0, pm.math.exp(log_scale / 2.0), shape=5)
    return built


@model()
def horseshoe() -> pm.Model:
    """Regress with global and local heavy-tailed scales."""
    rng = np.random.default_rng(54)
    x = rng.normal(size=(40, 8))
    y = 2.0 * x[:, 0] + 0.5 * rng.normal(size=40)
    with pm.Model() as built:
        total = pm.HalfCauchy("total", 0.5)
        local = pm.HalfCauchy("local", 1.0, shape=8)
        raw = pm.Normal("raw", 0.0, 1.0, shape=8)
        beta = pm.Deterministic("beta", raw * local * total)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", x @ beta, sigma, observed=y)
    return built
