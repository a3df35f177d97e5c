"""Importance weights of draws of q: Pareto-smoothed, and how far they can be relied on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vi.diagnostics.array_stats import array_stats

__all__ = [
    "EQUAL",
    "RELIABLE",
    "Weights",
    "effective_size",
    "largest_reliable",
    "smoothed",
]

RELIABLE = 0.7
"""Pareto k up to which importance weights can be relied on, however many draws there are."""

EQUAL = 0.8
"""Share of effective draws from which on weights are nearly equal, whatever their k.

Their relative variance is a quarter then. The steepness of their tail, which is what k tells, is
known from some 2,000 draws to (1 + k) / sqrt(M) with M = 3 sqrt(S) of them in the tail, 0.15 at
k = 0.7, and may be 1 and more where all weights are within some hundredths of each other. What it
may hide is for wider draws to find (:mod:`vi.diagnostics.wide_draws`).
"""

FEWEST = 25
"""Draws from which on a tail can be fitted: a fifth of them are in it, and five have to be."""


@dataclass(frozen=True)
class Weights:
    """Pareto-smoothed importance weights.

    Parameters
    ----------
    log_weights : numpy.ndarray
        Their logarithms, ``(S,)``; the weights sum to 1.
    k : float
        The shape of the Pareto distribution of the largest ratios; 0 where all are equal, infinite
        where a draw or two have all the weight and where there are too few draws to see a tail.
    """

    log_weights: np.ndarray
    k: float

    @property
    def ess(self) -> float:
        """Their effective sample size."""
        return effective_size(np.exp(self.log_weights))

    def resampled(self, draws: int, generator: np.random.Generator) -> np.ndarray:
        """Numbers of points that stand for draws of p: systematic resampling, in random order."""
        cumulative = np.cumsum(np.exp(self.log_weights))
        places = (np.arange(draws) + generator.uniform()) / draws * cumulative[-1]
        chosen = np.searchsorted(cumulative, places).clip(max=len(cumulative) - 1)
        return generator.permutation(chosen)

    @property
    def reliable(self) -> bool:
        """Whether so many draws with such weights can stand for draws of p.

        By k; or because the weights are nearly equal, so that there is little to rely on.
        """
        return self.k <= largest_reliable(len(self.log_weights)) or self.nearly_equal

    @property
    def nearly_equal(self) -> bool:
        """Whether nearly all draws count."""
        return self.ess >= EQUAL * len(self.log_weights)


def effective_size(weights: np.ndarray) -> float:
    r"""How many equal weights have the same relative variance: :math:`(\sum w)^2 / \sum w^2`.

    Examples
    --------
    >>> effective_size(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / max(np.sum(weights**2), np.finfo(float).tiny))


def largest_reliable(draws: int) -> float:
    """Pareto k up to which so many weighted draws can be relied on: min(1 - 1 / log10 S, 0.7).

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024). Pareto smoothed importance sampling. JMLR 25.
    """
    return min(1.0 - 1.0 / math.log10(max(draws, 11)), RELIABLE)


def smoothed(log_p: np.ndarray, log_q: np.ndarray) -> Weights:
    """Pareto-smoothed weights of draws; those where log p or log q is not finite have none.

    Numbers of the size of log p were rounded: ties that come of it would hide the tail, so they are
    broken. Fewer than 25 draws show no tail, and their weights are left as they are.

    Parameters
    ----------
    log_p, log_q : numpy.ndarray
        At draws of q, of one shape; finite for some.
    """
    finite = np.isfinite(log_p) & np.isfinite(log_q)
    size = float(np.abs(log_p[finite]).max())
    eps = float(np.finfo(log_p.dtype).eps)
    log_ratios = np.full(log_p.shape, -np.inf)
    log_ratios[finite] = log_p[finite] - log_q[finite]
    ratios = log_ratios.ravel()
    if np.ptp(ratios) <= max(np.sqrt(eps), 4 * eps * size):
        return Weights(np.full(ratios.size, -np.log(ratios.size)), 0.0)
    ratios = ratios + eps * size * np.random.default_rng(0).uniform(-0.5, 0.5, ratios.size)
    if ratios.size < FEWEST:
        return Weights(ratios - np.logaddexp.reduce(ratios), np.inf)
    try:
        log_weights, k = array_stats().psislw(-ratios)  # ArviZ takes minus the log ratios
    except ValueError:  # a few draws are alike and have all the weight: there is no tail to see
        return Weights(ratios - np.logaddexp.reduce(ratios), np.inf)
    log_weights = np.asarray(log_weights) - np.logaddexp.reduce(log_weights)
    # NaN where a draw or two have all the weight: there is no tail to see
    return Weights(log_weights, float(k) if np.isfinite(k) else np.inf)
