"""Models as people write them, on data made up here: what a default has to hold on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor.tensor as pt

__all__ = ["USER_MODELS"]

USER_MODELS: dict[str, Callable[[], pm.Model]] = {}


def _named(function: Callable[[], pm.Model]) -> Callable[[], pm.Model]:
    USER_MODELS[function.__name__] = function
    return function


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


@_named
def intercepts_12() -> pm.Model:
    return _intercepts(12, 400, 1.0)


@_named
def intercepts_40_sharp() -> pm.Model:
    return _intercepts(40, 4000, 0.2)


@_named
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


@_named
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


@_named
def spline() -> pm.Model:
    """A random-walk prior on 20 coefficients of a B-spline."""
    from scipy.interpolate import BSpline

    rng = np.random.default_rng(5)
    x = np.sort(rng.uniform(0, 1, 200))
    knots = np.concatenate([np.zeros(3), np.linspace(0, 1, 18), np.ones(3)])
    basis = BSpline.design_matrix(np.clip(x, 0, 1 - 1e-9), knots, 3).toarray()
    y = 3 + np.sin(9 * x) + 0.3 * rng.normal(size=200)
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        step = pm.Normal("step", 0.0, 1.0, shape=basis.shape[1])
        level = pm.Normal("level", 0.0, 5.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", level + basis @ pt.cumsum(tau * step), sigma, observed=y)
    return model


@_named
def hsgp() -> pm.Model:
    """A Gaussian process over 150 points, in Hilbert space."""
    rng = np.random.default_rng(6)
    x = np.linspace(0, 10, 150)
    y = np.sin(x) + 0.3 * x + 0.2 * rng.normal(size=150)
    with pm.Model() as model:
        length = pm.InverseGamma("length", 5.0, 5.0)
        eta = pm.HalfNormal("eta", 2.0)
        gp = pm.gp.HSGP(m=[25], c=1.5, cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=length))
        f = gp.prior("f", X=x[:, None])
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", pm.Normal("level", 0.0, 5.0) + f, sigma, observed=y)
    return model


@_named
def ar1_latent() -> pm.Model:
    """Counts around a latent AR(1), 80 points."""
    rng = np.random.default_rng(7)
    state = np.zeros(80)
    for t in range(1, 80):
        state[t] = 0.9 * state[t - 1] + 0.3 * rng.normal()
    y = rng.poisson(np.exp(1.0 + state))
    with pm.Model() as model:
        rho = pm.Uniform("rho", -1.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        latent = pm.AR(
            "state",
            rho=pt.stack([rho]),
            sigma=sigma,
            init_dist=pm.Normal.dist(0.0, 1.0),
            shape=80,
        )
        pm.Poisson("y", pt.exp(pm.Normal("level", 0.0, 2.0) + latent), observed=y)
    return model


@_named
def stochastic_volatility() -> pm.Model:
    """Returns over 100 days with a latent log volatility, non-centred."""
    rng = np.random.default_rng(8)
    h = np.zeros(100)
    for t in range(1, 100):
        h[t] = 0.96 * h[t - 1] + 0.3 * rng.normal()
    y = np.exp(h / 2) * rng.normal(size=100)
    with pm.Model() as model:
        phi = pm.Deterministic("phi", 2 * pm.Beta("phi_raw", 20.0, 1.5) - 1)
        sigma = pm.HalfNormal("sigma", 1.0)
        mu = pm.Normal("mu", 0.0, 3.0)
        h0 = mu + sigma / pt.sqrt(1 - phi**2) * pm.Normal("h0", 0.0, 1.0)
        z = pm.Normal("z", 0.0, 1.0, shape=99)
        states = [h0]
        for t in range(99):
            states.append(mu + phi * (states[-1] - mu) + sigma * z[t])
        pm.Normal("y", 0.0, pt.exp(pt.stack(states) / 2), observed=y)
    return model


@_named
def zinb() -> pm.Model:
    """Zero-inflated negative binomial counts with two predictors."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(300, 2))
    rate = np.exp(1 + x @ np.array([0.5, -0.3]))
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + rate)) * (rng.uniform(size=300) > 0.3)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 2.5, shape=2)
        mu = pt.exp(pm.Normal("Intercept", 0.0, 5.0) + x @ beta)
        psi, alpha = pm.Beta("psi", 1.0, 1.0), pm.HalfCauchy("alpha", 1.0)
        pm.ZeroInflatedNegativeBinomial("y", psi=psi, mu=mu, alpha=alpha, observed=y)
    return model


@_named
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


@_named
def bnn() -> pm.Model:
    """A network of 5 hidden units on a curve."""
    rng = np.random.default_rng(11)
    x = np.linspace(-2, 2, 100)
    y = np.tanh(2 * x) + 0.1 * rng.normal(size=100)
    with pm.Model() as model:
        w1, b1 = pm.Normal("w1", 0, 1, shape=5), pm.Normal("b1", 0, 1, shape=5)
        w2, b2 = pm.Normal("w2", 0, 1, shape=5), pm.Normal("b2", 0, 1)
        hidden = pt.tanh(x[:, None] * w1 + b1)
        pm.Normal("y", hidden @ w2 + b2, pm.HalfNormal("sigma", 0.5), observed=y)
    return model


@_named
def factor() -> pm.Model:
    """One factor behind 6 measurements of 80 people."""
    rng = np.random.default_rng(12)
    loading = np.array([1.0, 0.8, 1.2, 0.6, 0.9, 0.7])
    y = rng.normal(size=(80, 1)) * loading + 0.5 * rng.normal(size=(80, 6)) + 2
    with pm.Model() as model:
        score = pm.Normal("score", 0.0, 1.0, shape=(80, 1))
        weights = pm.HalfNormal("loading", 2.0, shape=6)
        level = pm.Normal("level", 0.0, 5.0, shape=6)
        pm.Normal("y", level + score * weights, pm.HalfNormal("sigma", 1.0, shape=6), observed=y)
    return model


@_named
def mixture() -> pm.Model:
    """Two normals, ordered means."""
    rng = np.random.default_rng(13)
    y = np.where(rng.uniform(size=250) < 0.35, rng.normal(-2, 0.7, 250), rng.normal(1.5, 1.0, 250))
    with pm.Model() as model:
        mu = pm.Normal(
            "mu",
            0.0,
            5.0,
            shape=2,
            transform=pm.distributions.transforms.ordered,
            initval=[-1.0, 1.0],
        )
        w, sigma = pm.Dirichlet("w", np.ones(2)), pm.HalfNormal("sigma", 2.0, shape=2)
        pm.NormalMixture("y", w=w, mu=mu, sigma=sigma, observed=y)
    return model


@_named
def horseshoe() -> pm.Model:
    """A regularised horseshoe over 30 coefficients, 3 of them not zero."""
    rng = np.random.default_rng(14)
    x = rng.normal(size=(100, 30))
    beta = np.zeros(30)
    beta[:3] = [3.0, -2.0, 1.5]
    y = x @ beta + rng.normal(size=100)
    with pm.Model() as model:
        tau, local = pm.HalfStudentT("tau", 2, 0.1), pm.HalfStudentT("local", 5, 1.0, shape=30)
        slab = pm.InverseGamma("slab", 2.0, 8.0)
        shrunk = local * pt.sqrt(slab / (slab + tau**2 * local**2))
        weights = pm.Normal("z", 0.0, 1.0, shape=30) * tau * shrunk
        pm.Normal("y", x @ weights, pm.HalfNormal("sigma", 2.0), observed=y)
    return model


@_named
def collinear_units() -> pm.Model:
    """A regression on collinear columns in units of 1e-3 and 1e6."""
    rng = np.random.default_rng(15)
    z = rng.normal(size=(200, 4)) + 2 * rng.normal(size=(200, 1))
    units = np.array([1e-3, 1.0, 1e3, 1e6])
    y = z @ np.array([1.0, -0.5, 0.3, 0.8]) + 5 + rng.normal(size=200)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10 / units, shape=4)
        level = pm.Normal("level", 0.0, 100.0)
        pm.Normal("y", level + (z * units) @ beta, pm.HalfNormal("sigma", 5.0), observed=y)
    return model
