"""Hierarchies, a mixture and a Gaussian process."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from data import Data, Draws
from pymc.distributions.transforms import ordered
from registry import Entry

__all__ = ["MODELS"]


def eight_schools_noncentered(data: Data) -> pm.Model:
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        offsets = pm.Normal("theta_trans", 0, 1, shape=int(data["J"]))
        theta = pm.Deterministic("theta", mu + tau * offsets)
        pm.Normal("y", theta, data["sigma"], observed=data["y"])
    return model


def schools_offsets(draws: Draws) -> Draws:
    """With the standardised effects, which the reference lacks."""
    mu, tau = draws["mu"][:, None], draws["tau"][:, None]
    return draws | {"theta_trans": (draws["theta"] - mu) / tau}


def radon_hierarchical_intercept_noncentered(data: Data) -> pm.Model:
    """Intercepts of counties; slopes for uranium and for the floor."""
    with pm.Model() as model:
        mu_alpha, sigma_alpha = pm.Normal("mu_alpha", 0, 10), pm.HalfNormal("sigma_alpha", 1)
        offsets = pm.Normal("alpha_raw", 0, 1, shape=int(data["J"]))
        alpha = pm.Deterministic("alpha", mu_alpha + sigma_alpha * offsets)
        beta = pm.Normal("beta", 0, 10, shape=2)
        mean = alpha[data["county_idx"] - 1] + beta[0] * data["log_uppm"]
        mean += beta[1] * data["floor_measure"]
        pm.Normal("log_radon", mean, pm.HalfNormal("sigma_y", 1), observed=data["log_radon"])
    return model


def radon_offsets(draws: Draws) -> Draws:
    """With the standardised intercepts, which the reference lacks."""
    mu, sigma = draws["mu_alpha"][:, None], draws["sigma_alpha"][:, None]
    return draws | {"alpha_raw": (draws["alpha"] - mu) / sigma}


def irt_2pl(data: Data) -> pm.Model:
    """Items (rows) differ in how hard they are, and in how well they tell persons apart."""
    items, persons = int(data["I"]), int(data["J"])
    with pm.Model() as model:
        theta = pm.Normal("theta", 0, pm.HalfCauchy("sigma_theta", 2), shape=persons)
        # the default start, the mean, is exp(sigma_a**2 / 2): a jittered sigma_a makes it huge
        sigma_a = pm.HalfCauchy("sigma_a", 2)
        a = pm.LogNormal("a", 0, sigma_a, shape=items, initval=np.ones(items))
        mu_b, sigma_b = pm.Normal("mu_b", 0, 5), pm.HalfCauchy("sigma_b", 2)
        b = pm.Normal("b", mu_b, sigma_b, shape=items)
        logit_p = a[:, None] * (theta - b[:, None])
        pm.Bernoulli("y", logit_p=logit_p, observed=data["y"])
    return model


def low_dim_gauss_mix(data: Data) -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 2, shape=2, transform=ordered, initval=[-1.0, 1.0])
        sigma = pm.HalfNormal("sigma", 2, shape=2)
        theta = pm.Beta("theta", 5, 5)
        weights = pt.stack([theta, 1 - theta])
        pm.NormalMixture("y", weights, mu, sigma, observed=data["y"])
    return model


def gp_regr(data: Data) -> pm.Model:
    """Here sigma is the variance of the noise, not its standard deviation."""
    x = data["x"].astype(np.float64)
    squares = (x[:, None] - x) ** 2
    with pm.Model() as model:
        rho, alpha = pm.Gamma("rho", 25, 4), pm.HalfNormal("alpha", 2)
        sigma = pm.HalfNormal("sigma", 1)
        cov = alpha**2 * pt.exp(-squares / (2 * rho**2)) + sigma * np.eye(len(x))
        pm.MvNormal("y", np.zeros(len(x)), cov=cov, observed=data["y"])
    return model


MODELS = {
    "eight_schools_noncentered": Entry(eight_schools_noncentered, schools_offsets),
    "radon_hierarchical_intercept_noncentered": Entry(
        radon_hierarchical_intercept_noncentered, radon_offsets
    ),
    "irt_2pl": Entry.plain(irt_2pl),
    "low_dim_gauss_mix": Entry.plain(low_dim_gauss_mix),
    "gp_regr": Entry.plain(gp_regr),
}
