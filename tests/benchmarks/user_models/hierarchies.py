"""Groups: intercepts, slopes, answers of people to items."""

from __future__ import annotations

import numpy as np
import pymc as pm

from .registry import named


def _intercepts(groups: int, rows: int, noise: float) -> pm.Model:
    """``y ~ x + (1 | g)`` with the priors that Bambi gives it."""
    rng = np.random.default_rng(groups)
    g = np.arange(rows) % groups
    x = rng.normal(size=rows)
    y = 10 + 2 * x + 0.8 * rng.normal(size=groups)[g] + noise * rng.normal(size=rows)
    scale = 2.5 * y.std()
    with pm.Model() as model:
        intercept = pm.Normal("Intercept", y.mean(), np.hypot(scale, scale * x.mean() / x.std()))
        slope = pm.Normal("x", 0.0, scale / x.std())
        sd = pm.HalfNormal("1|g_sigma", scale)
        offset = pm.Normal("1|g_offset", 0.0, 1.0, shape=groups)
        sigma = pm.HalfStudentT("sigma", nu=4, sigma=y.std())
        pm.Normal("y", intercept + slope * x + sd * offset[g], sigma, observed=y)
    return model


@named
def intercepts_12() -> pm.Model:
    return _intercepts(12, 400, 1.0)


@named
def intercepts_40_sharp() -> pm.Model:
    return _intercepts(40, 4000, 0.2)


@named
def radon_slopes() -> pm.Model:
    """Varying intercepts and slopes over 60 counties of very different sizes, correlated."""
    rng = np.random.default_rng(3)
    counties = 60
    county = rng.choice(counties, 800, p=rng.dirichlet(np.full(counties, 0.7)))
    floor = rng.integers(0, 2, 800)
    effects = rng.multivariate_normal([1.5, -0.7], [[0.1, -0.03], [-0.03, 0.1]], counties)
    y = effects[county, 0] + effects[county, 1] * floor + 0.7 * rng.normal(size=800)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 5.0, shape=2)
        chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2.0, sd_dist=pm.Exponential.dist(1.0))
        z = pm.Normal("z", 0.0, 1.0, shape=(counties, 2))
        both = mean + z @ chol.T
        sigma = pm.Exponential("sigma", 1.0)
        pm.Normal("y", both[county, 0] + both[county, 1] * floor, sigma, observed=y)
    return model


@named
def irt_2pl() -> pm.Model:
    """Two-parameter item response: 60 people, 20 items."""
    rng = np.random.default_rng(4)
    ability, difficulty = rng.normal(size=60), rng.normal(size=20)
    slope = np.exp(0.3 * rng.normal(size=20))
    p = 1 / (1 + np.exp(-slope * (ability[:, None] - difficulty)))
    y = rng.binomial(1, p)
    with pm.Model() as model:
        theta = pm.Normal("ability", 0.0, 1.0, shape=(60, 1))
        sd_b, sd_a = pm.HalfNormal("sd_difficulty", 2.0), pm.HalfNormal("sd_slope", 1.0)
        b = pm.Normal("difficulty", pm.Normal("mean_difficulty", 0.0, 2.0), sd_b, shape=20)
        a = pm.LogNormal("slope", 0.0, sd_a, shape=20)
        pm.Bernoulli("y", logit_p=a * (theta - b), observed=y)
    return model


@named
def ordinal() -> pm.Model:
    """Ordered answers of 25 people, each with an offset."""
    rng = np.random.default_rng(10)
    person = np.repeat(np.arange(25), 12)
    x = rng.normal(size=300)
    eta = 1.2 * x + 0.8 * rng.normal(size=25)[person] + rng.logistic(size=300)
    y = np.digitize(eta, [-1.5, 0.0, 1.5])
    with pm.Model() as model:
        cut = pm.Normal(
            "cut",
            0.0,
            3.0,
            shape=3,
            transform=pm.distributions.transforms.ordered,
            initval=[-1.0, 0.0, 1.0],
        )
        sd = pm.HalfNormal("sd", 2.0)
        offset = pm.Normal("offset", 0.0, 1.0, shape=25)
        slope = pm.Normal("slope", 0.0, 2.0)
        pm.OrderedLogistic("y", eta=slope * x + sd * offset[person], cutpoints=cut, observed=y)
    return model
