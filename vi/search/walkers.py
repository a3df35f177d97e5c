"""An ensemble of walkers for few dimensions, whose moves need no scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["stretched"]

LONGEST = 2.0
"""How many times as far from another walker a move ends at the most (Goodman and Weare 2010)."""


def stretched(
    log_p: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    values: np.ndarray,
    power: float,
    turns: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Walkers of the density :math:`p^\beta` after some turns, and their log p.

    In a turn each walker moves along the line through another one, of the other half of all:
    :math:`y + s (x - y)` with a density of *s* proportional to :math:`1 / \sqrt s` between 1/a and
    a, taken with the probability :math:`\min(1, s^{g - 1} (p(x') / p(x))^\beta)`.

    Parameters
    ----------
    log_p : callable
        The log density at points ``(K, g)``.
    points : numpy.ndarray
        Where the walkers begin, ``(W, g)``, of even number.
    values : numpy.ndarray
        The log density there, ``(W,)``.
    power : float
        The power of the density: below 1 it is flatter, and its tails are longer.
    turns : int
        How often each walker moves.
    rng : numpy.random.Generator
        Of the moves.

    References
    ----------
    Goodman and Weare (2010). Ensemble samplers with affine invariance. Communications in Applied
    Mathematics and Computational Science 5.
    """
    points, values = points.copy(), values.copy()
    half, g = len(points) // 2, points.shape[1]
    first, second = slice(0, half), slice(half, 2 * half)
    for _ in range(turns):
        for own, others in ((first, second), (second, first)):
            size = ((LONGEST - 1) * rng.random(half) + 1) ** 2 / LONGEST
            around = points[others][rng.integers(0, half, half)]
            tried = around + size[:, None] * (points[own] - around)
            found = log_p(tried)
            gain = (g - 1) * np.log(size) + power * (found - values[own])
            taken = (np.log(rng.random(half)) < gain) & np.isfinite(found)
            points[own] = np.where(taken[:, None], tried, points[own])
            values[own] = np.where(taken, found, values[own])
    return points, values
