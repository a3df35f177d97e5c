"""What minibatch fits are compared with: exact posteriors of the unconstrained parameters, from
all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Posterior", "errors", "linear", "logistic", "normal"]

BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Posterior:
    """Means and standard deviations of the unconstrained parameters, and the best mean-field
    normal's deviations.

    Parameters
    ----------
    mean, sd : ndarray
        Of each parameter alone, shape ``(D,)``.
    mean_field_sd : ndarray
        What a fit without correlations has at its optimum, shape ``(D,)``.
    """

    mean: np.ndarray
    sd: np.ndarray
    mean_field_sd: np.ndarray


def logistic(x: np.ndarray, y: np.ndarray, prior_sd: float = 1.0) -> Posterior:
    """Coefficients with independent normal priors: the mode by Newton's method, and the curvature
    there.

    With rows in the hundred thousands what the normal leaves out is far below a thousandth of an
    sd.
    """
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        gradient, precision = -beta / prior_sd**2, np.eye(len(beta)) / prior_sd**2
        for first in range(0, len(x), BLOCK):
            rows = np.asarray(x[first : first + BLOCK], np.float64)
            p = 1 / (1 + np.exp(-rows @ beta))
            gradient += rows.T @ (y[first : first + BLOCK] - p)
            precision += rows.T @ (rows * (p * (1 - p))[:, None])
        step = np.linalg.solve(precision, gradient)
        beta = beta + step
        if step @ precision @ step < 1e-16:  # squared length in posterior sds
            return _gaussian(beta, precision)
    raise ArithmeticError("Newton's method did not converge: are the classes separable?")


def normal(data: np.ndarray) -> Posterior:
    """Columns with a flat mean and a HalfNormal(1) deviation: ``mu`` of every column, then ``log
    sd`` of every column.

    Given ``sd``, ``mu`` is normal with variance ``sd^2 / N``, which leaves ``log sd`` the density
    ``(2 - N) log sd - S / (2 sd^2) - sd^2 / 2`` with ``S`` the sum of squares about the mean (one
    ``log sd`` of them from the integral over ``mu``, one from the transform). Its moments are sums
    over a grid.
    """
    n = len(data)
    means = data.mean(axis=0)
    squares = ((data - means) ** 2).sum(axis=0)
    mode = (
        np.log((np.sqrt((n - 2) ** 2 + 4 * squares) - (n - 2)) / 2) / 2
    )  # s^4 + (n - 2) s^2 - S = 0 in s^2
    curvature = 2 * squares * np.exp(-2 * mode) + 2 * np.exp(2 * mode)
    grid = mode + np.linspace(-12, 12, 4001)[:, None] / np.sqrt(curvature)
    log_density = (2 - n) * grid - squares * np.exp(-2 * grid) / 2 - np.exp(2 * grid) / 2
    weights = np.exp(log_density - log_density.max(axis=0))
    weights /= weights.sum(axis=0)
    log_sd = (weights * grid).sum(axis=0)
    spread = np.sqrt((weights * (grid - log_sd) ** 2).sum(axis=0))
    mu_sd = np.sqrt((weights * np.exp(2 * grid)).sum(axis=0) / n)
    sd = np.concatenate([mu_sd, spread])
    return Posterior(np.concatenate([means, log_sd]), sd, sd)  # mu and log sd are uncorrelated


def linear(xx: np.ndarray, xy: np.ndarray, noise: float, prior_sd: float = 1.0) -> Posterior:
    """Coefficients of a regression with known noise, from the sums ``x x'`` and ``x y`` over all
    rows.
    """
    precision = xx / noise**2 + np.eye(len(xy)) / prior_sd**2
    return _gaussian(np.linalg.solve(precision, xy / noise**2), precision)


def errors(posterior: Posterior, mean: Sequence[float], sd: Sequence[float]) -> dict[str, float]:
    """Root mean square and worst errors: of the mean in posterior sds, of log sd."""
    shift = (np.asarray(mean) - posterior.mean) / posterior.sd
    spread = np.log(np.asarray(sd) / posterior.sd)
    return {
        "mean_rms": float(np.sqrt(np.mean(shift**2))),
        "mean_worst": float(np.max(np.abs(shift))),
        "log_sd_rms": float(np.sqrt(np.mean(spread**2))),
        "log_sd_worst": float(np.max(np.abs(spread))),
    }


def _gaussian(mean: np.ndarray, precision: np.ndarray) -> Posterior:
    return Posterior(
        mean, np.sqrt(np.diag(np.linalg.inv(precision))), 1 / np.sqrt(np.diag(precision))
    )
