"""A proposal for few dimensions that has any shape: a t distribution around each of many points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

__all__ = ["KernelMixture", "kernel_mixture"]

DEGREES = 5
"""Degrees of freedom of each: where the points end, the mixture goes on."""

LEVEL = 1e-9
"""Added to correlations of 1: points on a line have a covariance that is not regular."""

NEAR, EACH = 32, 4
"""Points around one that say how wide it is: so many, and so many a dimension."""

OF_ALL = 1e-3
"""The share of the covariance of all points that is added for each dimension, as of one point: that
of a few may not be regular where theirs is."""


@dataclass(frozen=True, eq=False)
class KernelMixture:
    r""":math:`\frac1K \sum_k t_\nu(z; z_k, L_k L_k')`, multivariate t distributions.

    Parameters
    ----------
    points : numpy.ndarray
        Their centres, ``(K, g)``.
    lower : numpy.ndarray
        Cholesky factors of their scales, ``(K, g, g)``.

    References
    ----------
    West (1993). Approximating posterior distributions by mixtures. JRSS B 55.
    """

    points: np.ndarray
    lower: np.ndarray

    def draw(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Points, ``(draws, g)``."""
        count, g = self.points.shape
        chosen = rng.integers(0, count, draws)
        widths = np.sqrt(DEGREES / rng.chisquare(DEGREES, (draws, 1)))
        noise = widths * rng.standard_normal((draws, g))
        found: np.ndarray = self.points[chosen] + np.einsum("nij,nj->ni", self.lower[chosen], noise)
        return found

    def log_prob(self, points: np.ndarray) -> np.ndarray:
        """The log density at points ``(n, g)``."""
        count, g = self.points.shape
        off = (points[None] - self.points[:, None]).transpose(0, 2, 1)
        squares = np.square(np.linalg.solve(self.lower, off)).sum(axis=1)
        power = 0.5 * (DEGREES + g)
        constant = gammaln(power) - gammaln(0.5 * DEGREES) - 0.5 * g * np.log(np.pi * DEGREES)
        log_det = np.log(np.diagonal(self.lower, axis1=1, axis2=2)).sum(axis=1)
        each = -power * np.log1p(squares / DEGREES) - log_det[:, None]
        found: np.ndarray = np.logaddexp.reduce(each, axis=0) + constant - np.log(count)
        return found


def kernel_mixture(points: np.ndarray) -> KernelMixture:
    """The one around points of equal weight, each as wide as those nearest to it say.

    Parameters
    ----------
    points : numpy.ndarray
        ``(K, g)``.

    References
    ----------
    Terrell and Scott (1992). Variable kernel density estimation. Annals of Statistics 20.
    """
    count, g = points.shape
    near = min(count, max(NEAR, EACH * g))
    whole = np.cov(points.T).reshape(g, g)
    whole += LEVEL * np.diag(np.diag(whole))
    own = np.linalg.solve(np.linalg.cholesky(whole), points.T).T
    squares = np.square(own).sum(axis=1)
    apart = squares[:, None] + squares - 2 * own @ own.T
    around = points[np.argsort(apart, axis=1)[:, :near]] - points[:, None]
    local = around.transpose(0, 2, 1) @ around / near
    local = (near * local + g * OF_ALL * whole) / (near + g)
    width = (4.0 / (near * (g + 2))) ** (1.0 / (g + 4))  # Silverman (1986)
    return KernelMixture(points, min(width, 1.0) * np.linalg.cholesky(local))
