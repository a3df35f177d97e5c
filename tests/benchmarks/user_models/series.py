"""Series: latent levels, volatilities, states."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor.tensor as pt

import vi

from .registry import named


@named
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


@named
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


@named
def local_trend() -> pm.Model:
    """A local linear trend of 80 sales in units of 1e6, walks as PyMC has them."""
    rng = np.random.default_rng(16)
    slope = 0.2 + np.cumsum(0.05 * rng.normal(size=80))
    y = 1e6 * (20 + np.cumsum(slope + 0.3 * rng.normal(size=80)) + 0.5 * rng.normal(size=80))
    steps = np.diff(y).std()
    with pm.Model() as model:
        sd_slope = pm.HalfNormal("sd_slope", 0.5 * steps)
        sd_level = pm.HalfNormal("sd_level", steps)
        slopes = pm.GaussianRandomWalk(
            "slope", sigma=sd_slope, init_dist=pm.Normal.dist(0.0, steps), shape=79
        )
        walk = pm.GaussianRandomWalk(
            "walk", mu=slopes, sigma=sd_level, init_dist=pm.Normal.dist(y[0], y.std()), shape=80
        )
        pm.Normal("y", walk, pm.HalfNormal("sigma", steps), observed=y)
    return model


@named
def hidden_markov() -> pm.Model:
    """Two states behind 200 numbers, as a JAX log density."""
    rng = np.random.default_rng(17)
    state = np.zeros(200, int)
    for t in range(1, 200):
        state[t] = state[t - 1] if rng.uniform() < (0.95, 0.85)[state[t - 1]] else 1 - state[t - 1]
    y = np.array([-1.0, 1.5])[state] + np.array([0.6, 1.0])[state] * rng.normal(size=200)

    def log_density(params, y):
        mean, sd, stay = params["mean"], params["sd"], params["stay"]
        scaled = (y[:, None] - mean) / sd
        emission = -0.5 * scaled**2 - jnp.log(sd)
        moves = jnp.log(jnp.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]]))

        def step(alpha, row):
            return jax.nn.logsumexp(alpha[:, None] + moves, axis=0) + row, None

        last, _ = jax.lax.scan(step, emission[0] - jnp.log(2.0), emission[1:])
        prior = -0.5 * jnp.sum((mean / 3) ** 2) - 0.5 * jnp.sum((sd / 2) ** 2)
        prior += jnp.sum(4 * jnp.log(stay) + jnp.log(1 - stay))
        return prior + jax.nn.logsumexp(last)

    init = {"mean": np.array([-0.5, 0.5]), "sd": np.ones(2), "stay": np.array([0.7, 0.7])}
    constraints = {"mean": "ordered", "sd": "positive", "stay": "unit_interval"}
    return vi.targets.from_function(log_density, init, constraints=constraints, data=y)
