"""Multivariate distributions as free variables with their default transforms, and free
parameters of them.
"""

from __future__ import annotations

import numpy as np
import pymc as pm

from .registry import model

_SHAPE = np.array([[1.0, 0.4, 0.1], [0.4, 1.5, 0.3], [0.1, 0.3, 0.8]])
_RING = np.roll(np.eye(6, dtype=int), 1, axis=0) + np.roll(np.eye(6, dtype=int), -1, axis=0)


@model()
def mv_normal() -> pm.Model:
    """Give a correlated prior to a mean, and see the mean with noise."""
    observed = np.random.default_rng(1).normal([0.5, -0.5, 1.0], 1.0, size=(8, 3))
    with pm.Model() as built:
        x = pm.MvNormal("x", mu=np.array([0.2, 0.0, -0.2]), cov=_SHAPE, shape=3)
        pm.Normal("y", x, 1.0, observed=observed)
    return built


@model()
def mv_student_t() -> pm.Model:
    """Give a heavy-tailed correlated prior to two rows."""
    observed = np.random.default_rng(2).normal(0.4, 0.8, size=(2, 3))
    with pm.Model() as built:
        x = pm.MvStudentT("x", nu=5.0, mu=np.zeros(3), scale=_SHAPE, shape=(2, 3))
        pm.Normal("y", x, 0.8, observed=observed)
    return built


@model()
def dirichlet() -> pm.Model:
    """Count in two groups, each with probabilities on a simplex."""
    with pm.Model() as built:
        p = pm.Dirichlet("p", a=np.array([1.5, 2.0, 1.0, 3.0]), shape=(2, 4))
        pm.Multinomial(
            "y", n=np.array([20, 30]), p=p, observed=np.array([[5, 3, 2, 10], [8, 2, 9, 11]])
        )
    return built


@model()
def stick_breaking_weights() -> pm.Model:
    """Count with probabilities from a truncated stick-breaking process."""
    with pm.Model() as built:
        w = pm.StickBreakingWeights("w", alpha=1.8, K=4)
        pm.Multinomial("y", n=40, p=w, observed=np.array([14, 10, 8, 5, 3]))
    return built


@model()
def lkj_cholesky_cov() -> pm.Model:
    """Learn a covariance matrix from rows through its Cholesky factor."""
    rng = np.random.default_rng(3)
    observed = rng.multivariate_normal(np.zeros(3), _SHAPE, size=25)
    with pm.Model() as built:
        chol, _, _ = pm.LKJCholeskyCov(
            "chol", n=3, eta=2.0, sd_dist=pm.Exponential.dist(1.0, shape=3)
        )
        mu = pm.Normal("mu", 0.0, 2.0, shape=3)
        pm.MvNormal("y", mu=mu, chol=chol, observed=observed)
    return built


@model()
def lkj_corr() -> pm.Model:
    """Learn a correlation matrix; small integer constants give the graph its shapes."""
    rng = np.random.default_rng(4)
    observed = rng.multivariate_normal(
        np.zeros(3), [[1.0, 0.5, 0.2], [0.5, 1.0, 0.1], [0.2, 0.1, 1.0]], size=25
    )
    with pm.Model() as built:
        corr = pm.LKJCorr("corr", n=3, eta=2.0)
        pm.MvNormal("y", mu=np.zeros(3), cov=corr, observed=observed)
    return built


@model()
def wishart() -> pm.Model:
    """Learn a precision matrix with a Wishart prior."""
    observed = np.random.default_rng(5).multivariate_normal(np.zeros(3), _SHAPE, size=25)
    with pm.Model() as built:
        precision = pm.Wishart("precision", nu=6, V=np.eye(3) / 6.0)
        pm.MvNormal("y", mu=np.zeros(3), tau=precision, observed=observed)
    return built


@model()
def zero_sum_normal() -> pm.Model:
    """Sum effects to zero over two axes, so that the unconstrained vector is shorter than the
    effects.
    """
    observed = np.random.default_rng(6).normal(0.5, 1.0, size=(10, 3, 4))
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        effect = pm.ZeroSumNormal("effect", sigma=1.3, n_zerosum_axes=2, shape=(3, 4))
        pm.Normal("y", mu + effect, 1.0, observed=observed)
    return built


@model()
def matrix_normal() -> pm.Model:
    """Draw a matrix with row and column covariances."""
    observed = np.random.default_rng(7).normal(0.2, 1.0, size=(3, 2))
    with pm.Model() as built:
        x = pm.MatrixNormal(
            "x", mu=np.zeros((3, 2)), rowcov=_SHAPE, colcov=np.array([[1.0, 0.3], [0.3, 0.7]])
        )
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def kronecker_normal() -> pm.Model:
    """Draw a vector whose covariance is a Kronecker product plus noise."""
    observed = np.random.default_rng(8).normal(0.2, 1.0, size=6)
    with pm.Model() as built:
        covs = [np.array([[1.0, 0.3], [0.3, 0.7]]), _SHAPE]
        x = pm.KroneckerNormal("x", mu=np.zeros(6), covs=covs, sigma=0.2, shape=6)
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def car() -> pm.Model:
    """Smooth over the nodes of a ring with a conditional autoregression of learned strength."""
    observed = np.random.default_rng(9).poisson(4.0, size=6)
    with pm.Model() as built:
        alpha = pm.Beta("alpha", 2.0, 2.0)
        tau = pm.Gamma("tau", 2.0, 1.0)
        phi = pm.CAR("phi", mu=np.zeros(6), W=_RING, alpha=alpha, tau=tau, shape=6)
        pm.Poisson("y", pm.math.exp(1.0 + phi), observed=observed)
    return built


@model()
def icar() -> pm.Model:
    """Smooth over the nodes of a ring with an intrinsic conditional autoregression."""
    observed = np.random.default_rng(10).poisson(4.0, size=6)
    with pm.Model() as built:
        sigma = pm.HalfNormal("sigma", 1.0)
        phi = pm.ICAR("phi", W=_RING, sigma=1.0)
        pm.Poisson("y", pm.math.exp(1.0 + sigma * phi), observed=observed)
    return built
