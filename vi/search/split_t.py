"""A proposal for few dimensions: independent t distributions with two sides along some axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

__all__ = ["SplitT", "split_t"]

FEWEST_DEGREES = 5
"""Degrees of freedom are as many as dimensions, and at least so many: the tails of all axes
together are then about as heavy."""


@dataclass(frozen=True, eq=False)
class SplitT:
    r"""``z = centre + lower y``, each entry of ``y`` a t with another scale on either side.

    The density of an entry is :math:`2 / (l + u)\, t_\nu(y / s)` with :math:`s = l` below zero and
    :math:`s = u` above.

    Parameters
    ----------
    centre : numpy.ndarray
        The mode, ``(g,)``.
    lower : numpy.ndarray
        A lower triangle, ``(g, g)``.
    below, above : numpy.ndarray
        The scales ``(g,)``.

    References
    ----------
    Geweke (1989). Bayesian inference in econometric models using Monte Carlo integration.
    Econometrica 57, section 4.
    """

    centre: np.ndarray
    lower: np.ndarray
    below: np.ndarray
    above: np.ndarray

    @property
    def degrees(self) -> int:
        """Degrees of freedom."""
        return max(FEWEST_DEGREES, len(self.centre))

    def draw(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Points, ``(draws, g)``."""
        size = np.abs(rng.standard_t(self.degrees, (draws, len(self.centre))))
        up = rng.random(size.shape) < self.above / (self.above + self.below)
        found: np.ndarray = (
            self.centre + np.where(up, self.above, -self.below) * size @ self.lower.T
        )
        return found

    def log_prob(self, points: np.ndarray) -> np.ndarray:
        """The log density at points ``(K, g)``."""
        y = np.linalg.solve(self.lower, (points - self.centre).T).T
        scaled = y / np.where(y > 0, self.above, self.below)
        nu = self.degrees
        # scipy.stats has it too, and takes as long to import as half of the library
        each = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        each = each - (nu + 1) / 2 * np.log1p(scaled**2 / nu)
        each = each + np.log(2 / (self.above + self.below))
        found: np.ndarray = each.sum(axis=1) - np.log(np.diag(self.lower)).sum()
        return found


def split_t(points: np.ndarray, weights: np.ndarray, lower: np.ndarray) -> SplitT:
    """The one whose medians along axes, and mean squares on either side, are those of points.

    Parameters
    ----------
    points : numpy.ndarray
        ``(K, g)``.
    weights : numpy.ndarray
        ``(K,)``; they sum to 1.
    lower : numpy.ndarray
        A Cholesky factor ``(g, g)`` of their covariance, which gives the axes.
    """
    mean = weights @ points
    y = np.linalg.solve(lower, (points - mean).T).T
    medians: list[float] = []
    sides: list[list[float]] = []
    for column in y.T:
        order = np.argsort(column)
        half = int(np.searchsorted(np.cumsum(weights[order]), 0.5))
        medians.append(float(column[order][min(half, len(order) - 1)]))
        off = column - medians[-1]
        sides.append([_root_mean_square(off, weights * side) for side in (off < 0, off > 0)])
    below, above = np.array(sides).reshape(-1, 2).T
    return SplitT(mean + lower @ np.array(medians), lower, below, above)


def _root_mean_square(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted; one where nothing has weight."""
    total = weights.sum()
    found = np.sqrt(weights @ values**2 / total) if total > 0 else 1.0
    return float(found) if found > 0 else 1.0
