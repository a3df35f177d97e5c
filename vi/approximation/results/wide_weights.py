"""Importance weights of draws wider than q, together with those of its own."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import reported_params
from vi.approximation.results.points import log_prob_at
from vi.diagnostics.importance import Weights, smoothed
from vi.diagnostics.wide_draws import wide_draws, wide_log_density
from vi.foundation.seeds import WIDE_DRAWS, generator_from

__all__ = ["Drawn", "regular", "wide_points", "wide_weights"]

NOTHING = 60.0
"""Nats below the largest weight at which one is nothing."""


class Drawn(NamedTuple):
    """Draws of q ``(S, D)`` with log p and log q at each, ``(S,)``."""

    points: np.ndarray
    log_p: np.ndarray
    log_q: np.ndarray


def regular(root: np.ndarray, std: np.ndarray) -> np.ndarray:
    """A root of q's covariance, or the standard deviations where it is singular in rounding."""
    singular = root.ndim == 2 and np.linalg.matrix_rank(root / std[:, None]) < len(root)
    return std if singular else root


def wide_points(own: np.ndarray, mean: np.ndarray, root: np.ndarray, seed: int) -> np.ndarray:
    """As many draws as there are of q, and wider ones, ``(S, D)``.

    Parameters
    ----------
    own : numpy.ndarray
        Draws of q, ``(S, D)``.
    mean, root : numpy.ndarray
        Mean ``(D,)`` and a regular root of q's covariance ``(D, D)``, or sds ``(D,)``.
    seed : int
        Seed of the wider draws.
    """
    generator = generator_from(seed, WIDE_DRAWS)
    return wide_draws(mean, root, len(own), generator).astype(own.dtype)


def wide_weights(
    fit: FitState,
    own: Drawn,
    wide: np.ndarray,
    log_p: np.ndarray,
    mean: np.ndarray,
    root: np.ndarray,
) -> tuple[np.ndarray, Weights] | None:
    """Draws of q and as many that are wider, with weights by the density of both sets together.

    What is a tail to q's draws, or beyond all of them, is not to these. None where nothing of it is
    finite.

    Parameters
    ----------
    fit : FitState
        Whose q it is.
    own : Drawn
        Draws of q.
    wide, log_p : numpy.ndarray
        The wider ones, ``(S, D)``, and log p of all rows at each.
    mean, root : numpy.ndarray
        What they were drawn with.
    """
    points = np.concatenate([own.points, wide])
    log_p = np.concatenate([own.log_p, log_p])
    log_q = log_prob_at(fit.family, reported_params(fit), wide, fit.dtype)
    with np.errstate(all="ignore"):
        log_g = np.concatenate([own.log_q, log_q])
        log_g = np.logaddexp(log_g, wide_log_density(points, mean, root)) - math.log(2)
        ratios = log_p - log_g
        # what has no weight has no rounding that matters either
        nothing = ~(ratios >= np.nanmax(np.where(np.isfinite(ratios), ratios, np.nan)) - NOTHING)
    if nothing.all():
        return None
    return points, smoothed(np.where(nothing, -np.inf, log_p), log_g)
