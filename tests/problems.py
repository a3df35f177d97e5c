"""Targets with closed-form answers, built once for the whole test run."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pymc as pm
from methods import is_mean_field


@dataclass(frozen=True, eq=False)
class Problem:
    """A model whose unconstrained posterior is the normal N(mean, cov), with its log evidence."""

    model: pm.Model
    mean: np.ndarray
    cov: np.ndarray
    log_evidence: float

    def sd(self, method: str) -> np.ndarray:
        """The optimum's standard deviations: 1 / sqrt(diag(precision)) for mean field, else
        exact.
        """
        if is_mean_field(method):
            return 1.0 / np.sqrt(np.diag(np.linalg.inv(self.cov)))
        return np.sqrt(np.diag(self.cov))


def noise(steps: int) -> float:
    """Standard deviation of the mean of an averaged fit with one draw a step, in sds of q.

    That of log sd is smaller by sqrt(2). The default average is that of about 0.21 n iterates, and
    their gradients have unit noise (information 2 of log sd).
    """
    return 1.0 / np.sqrt(0.21 * steps)


@functools.cache
def conjugate_normal() -> Problem:
    """Ten observations of N(mu, 1) with mu ~ N(0, 1): the posterior sd is 1 / sqrt(11)."""
    y = np.random.default_rng(1).normal(1.0, 1.0, 10)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Normal("y", mu, 1.0, observed=y)
    marginal = np.eye(10) + np.ones((10, 10))
    return Problem(model, np.array([y.sum() / 11]), np.array([[1 / 11]]), _log_normal(y, marginal))


@functools.cache
def correlated_gaussian() -> Problem:
    """A normal in three dimensions with correlations up to 0.9 and scales 0.5, 1 and 3.

    Log evidence 0.
    """
    scale = np.array([0.5, 1.0, 3.0])
    cov = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.4], [0.2, 0.4, 1.0]]) * np.outer(scale, scale)
    mean = np.array([1.0, -2.0, 4.0])
    with pm.Model() as model:
        pm.MvNormal("x", mean, cov)
    return Problem(model, mean, cov, 0.0)


@functools.cache
def conjugate_regression() -> Problem:
    """Linear regression with known noise: 40 rows, 3 columns, prior N(0, 2^2), noise 0.5."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
    y = x @ np.array([1.0, -1.0, 0.5]) + 0.5 * rng.normal(size=40)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 2.0, shape=3)
        pm.Normal(
            "y", (x * beta).sum(axis=-1), 0.5, observed=y
        )  # numba takes 10 s to compile a matrix product
    cov = np.linalg.inv(x.T @ x / 0.25 + np.eye(3) / 4.0)
    return Problem(
        model, cov @ x.T @ y / 0.25, cov, _log_normal(y, 0.25 * np.eye(40) + 4.0 * x @ x.T)
    )


PROBLEMS = {
    build.__name__: build for build in (conjugate_normal, correlated_gaussian, conjugate_regression)
}


def _log_normal(y: np.ndarray, cov: np.ndarray) -> float:
    _, log_det = np.linalg.slogdet(cov)
    return float(
        -0.5 * y @ np.linalg.solve(cov, y) - 0.5 * log_det - 0.5 * len(y) * np.log(2 * np.pi)
    )


def two_signs():
    """x is 1 or -1, each with half of the mass and 80 standard deviations apart."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, initval=0.5)
        pm.Normal("y", x**2, 0.05, observed=1.0)
    return model
