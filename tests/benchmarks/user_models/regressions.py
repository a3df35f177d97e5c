"""Regressions: curves, counts, shrinkage, outliers, columns in odd units."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from .registry import named


@named
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


@named
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


@named
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


@named
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


@named
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


@named
def robust() -> pm.Model:
    """A regression with Student's t, of lengths of a few 1e-3, with outliers."""
    rng = np.random.default_rng(18)
    x = rng.normal(size=(120, 2))
    y = 1e-3 * (4 + x @ np.array([1.0, -0.6]) + 0.5 * rng.standard_t(2.5, size=120))
    with pm.Model() as model:
        level, beta = pm.Normal("Intercept", 0.0, 1.0), pm.Normal("beta", 0.0, 1.0, shape=2)
        nu, sigma = pm.Gamma("nu", 2.0, 0.1), pm.HalfCauchy("sigma", 1.0)
        pm.StudentT("y", nu=nu, mu=level + x @ beta, sigma=sigma, observed=y)
    return model


@named
def censored() -> pm.Model:
    """A regression of what is cut off at 0, on a share and on an income in units of 1e6."""
    rng = np.random.default_rng(19)
    share, income = rng.uniform(size=200), 1e6 * rng.lognormal(0.0, 0.5, size=200)
    y = np.maximum(-2 + 2 * share + 1.5e-6 * income + rng.normal(size=200), 0.0)
    with pm.Model() as model:
        level = pm.Normal("Intercept", 0.0, 10.0)
        b_share, b_income = pm.Normal("share", 0.0, 10.0), pm.Normal("income", 0.0, 10.0)
        latent = pm.Normal.dist(
            level + b_share * share + b_income * income, pm.HalfNormal("sigma", 5.0)
        )
        pm.Censored("y", latent, lower=0.0, upper=None, observed=y)
    return model
