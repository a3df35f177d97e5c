"""What lies behind data: factors, components, hidden units."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from .registry import named, unlabelled


@unlabelled("curve", "sigma")
def bnn() -> pm.Model:
    """A network of 5 hidden units on a curve."""
    rng = np.random.default_rng(11)
    x = np.linspace(-2, 2, 100)
    y = np.tanh(2 * x) + 0.1 * rng.normal(size=100)
    with pm.Model() as model:
        w1, b1 = pm.Normal("w1", 0, 1, shape=5), pm.Normal("b1", 0, 1, shape=5)
        w2, b2 = pm.Normal("w2", 0, 1, shape=5), pm.Normal("b2", 0, 1)
        hidden = pt.tanh(x[:, None] * w1 + b1)
        curve = hidden @ w2 + b2
        pm.Normal("y", curve, pm.HalfNormal("sigma", 0.5), observed=y)
        pm.Deterministic("curve", curve[::5])
    return model


@named
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


@named
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


@unlabelled("low", "high", "share_low", "sigma")
def mixture_unordered() -> pm.Model:
    """Two normals of one width, whose means nobody ordered."""
    rng = np.random.default_rng(22)
    y = np.where(rng.uniform(size=150) < 0.35, rng.normal(-2, 0.8, 150), rng.normal(1.5, 0.8, 150))
    with pm.Model() as model:
        mu, w = pm.Normal("mu", 0.0, 5.0, shape=2), pm.Dirichlet("w", np.ones(2))
        pm.NormalMixture("y", w=w, mu=mu, sigma=pm.HalfNormal("sigma", 2.0), observed=y)
        pm.Deterministic("low", mu.min())
        pm.Deterministic("high", mu.max())
        pm.Deterministic("share_low", pt.where(mu[0] < mu[1], w[0], w[1]))
    return model


@unlabelled("product", "sigma")
def matrix_factorisation() -> pm.Model:
    """Ratings of 12 things by 15 people, two factors, a third of them missing."""
    rng = np.random.default_rng(23)
    truth = rng.normal(size=(15, 2)) @ rng.normal(size=(2, 12))
    rows, columns = np.nonzero(rng.uniform(size=truth.shape) < 0.67)
    y = truth[rows, columns] + 0.4 * rng.normal(size=len(rows))
    with pm.Model() as model:
        people = pm.Normal("people", 0.0, 1.0, shape=(15, 2))
        things = pm.Normal("things", 0.0, 1.0, shape=(12, 2))
        product = people @ things.T
        pm.Normal("y", product[rows, columns], pm.HalfNormal("sigma", 1.0), observed=y)
        pm.Deterministic("product", product)
    return model


@named
def dirichlet_multinomial() -> pm.Model:
    """Counts of 5 kinds at 12 places, more scattered than a multinomial's."""
    rng = np.random.default_rng(24)
    p = rng.dirichlet(8 * np.array([0.4, 0.3, 0.2, 0.08, 0.02]), size=12)
    counts = np.stack([rng.multinomial(60, row) for row in p])
    with pm.Model() as model:
        share, spread = pm.Dirichlet("share", np.ones(5)), pm.LogNormal("spread", 1.0, 1.0)
        pm.DirichletMultinomial("counts", n=60, a=share * spread, observed=counts)
    return model
