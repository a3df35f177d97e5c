"""Draws wider than q, and their density: what is beyond the reach of q's own draws."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["SCALES", "wide_draws", "wide_log_density"]

SCALES = (3.0, 10.0, 100.0)
"""How many times wider: of a tail, of a wide component behind a narrow one, of a mode far off."""


def wide_draws(
    mean: np.ndarray, root: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    r"""Draws of a normal that is wider, ``(count, D)``.

    :math:`z = m + R e`, where e is standard normal but for a scale s of :data:`SCALES`: one half of
    the draws have it in all directions, which in many dimensions is far from everything, the other
    half in one, a column of R that is drawn.

    Parameters
    ----------
    mean : numpy.ndarray
        :math:`m`, ``(D,)``.
    root : numpy.ndarray
        R ``(D, D)`` of the covariance R R', or standard deviations ``(D,)``.
    count : int
        How many.
    generator : numpy.random.Generator
        What is random.
    """
    dim = len(mean)
    noise = generator.standard_normal((count, dim))
    scales = generator.choice(SCALES, count)
    one = np.zeros((count, dim), bool)
    one[np.arange(count), generator.integers(dim, size=count)] = True
    whole = generator.uniform(size=count) < 0.5
    noise *= np.where(one | whole[:, None], scales[:, None], 1.0)
    points: np.ndarray = mean + (noise * root if root.ndim == 1 else noise @ root.T)
    return points


def wide_log_density(points: np.ndarray, mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """The log density of :func:`wide_draws` at points ``(S, D)``, ``(S,)``."""
    dim = len(mean)
    centred = (points - mean).astype(np.float64)
    if root.ndim == 1:
        noise, log_det = centred / root, np.log(root).sum()
    else:
        noise, log_det = np.linalg.solve(root, centred.T).T, np.linalg.slogdet(root)[1]
    squares = noise**2
    whole = squares.sum(axis=1)
    parts = []
    for scale in SCALES:
        parts.append(-0.5 * whole / scale**2 - dim * math.log(scale))
        # in one direction: what the normal has there in exchange for what the wide one has
        gains = 0.5 * squares * (1 - 1 / scale**2)
        top = gains.max(axis=1)
        mixed = top + np.log(np.mean(np.exp(gains - top[:, None]), axis=1))
        parts.append(-0.5 * whole + mixed - math.log(scale))
    constant = 0.5 * dim * math.log(2 * math.pi) + log_det + math.log(len(parts))
    log_density: np.ndarray = np.logaddexp.reduce(parts, axis=0) - constant
    return log_density
