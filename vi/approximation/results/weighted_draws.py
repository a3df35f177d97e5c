"""Draws of q by their importance weights: when, and which."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_every_row
from vi.approximation.record.parameters import mean_and_std, reported_params
from vi.approximation.results.points import draw
from vi.diagnostics.evidence import ENOUGH
from vi.diagnostics.importance import Weights, smoothed
from vi.foundation.seeds import RESAMPLING, generator_from

__all__ = ["how_weighed", "resampled", "with_weights"]

logger = logging.getLogger("vi")

WEIGHED, LEAST_WEIGHED = 10, 2000
"""Draws that are weighed for each that is kept, and the fewest: with k up to 0.7, a tenth of the
weighed draws and more are effective ones."""


def resampled(
    fit: FitState, how: str, seed: int, draws: int
) -> tuple[np.ndarray, np.ndarray, Weights]:
    """Draws of q chosen by their importance weights, with log q of each."""
    if how != "psis":
        raise ValueError(
            f"resample={how!r} is unknown; use 'psis', 'auto', or None for draws of q."
        )
    if not fit.family.has_density:
        raise TypeError("resample='psis' weighs draws by p / q, and this q has no density.")
    count = max(WEIGHED * draws, LEAST_WEIGHED)
    params = reported_params(fit)
    points, log_q = draw(fit.family, params, seed, count, fit.dtype, density=True)
    assert log_q is not None
    log_p = target_of_every_row(fit).log_prob(points)
    if not np.any(np.isfinite(log_p)):
        raise ValueError("log p is finite at none of the draws of q: there is nothing to weigh.")
    weights = smoothed(log_p, log_q)
    if not weights.reliable:
        share = weights.ess / count
        logger.warning(
            "Pareto k of %d draws is %.2f: their weights cannot be relied on, %s. "
            "approx.diagnose() says what is wrong.",
            count,
            weights.k,
            "a few draws stand for all" if share < ENOUGH else f"though {share:.0%} of them count",
        )
    chosen = weights.resampled(draws, generator_from(seed, RESAMPLING))
    return points[chosen], log_q[chosen], weights


def with_weights(fit: FitState) -> FitState:
    """The record whose draws are weighed by default, as long as log p stays what it is."""
    return replace(fit, resample="psis", log_p_of_mean=_log_p_of_mean(fit))


def how_weighed(fit: FitState, resample: str | None) -> str | None:
    """What ``resample`` means for a fit."""
    if resample != "auto":
        return resample
    return fit.resample if fit.resample and _weights_hold(fit) else None


def _weights_hold(fit: FitState) -> bool:
    """Whether log p is the one that the fit was made with: whether the data are."""
    try:
        now = _log_p_of_mean(fit)
    except (TypeError, ValueError, IndexError):
        now = np.nan
    then, eps = fit.log_p_of_mean, float(np.finfo(fit.dtype).eps)
    if abs(now - then) <= np.sqrt(eps) * max(1.0, abs(then)):
        return True
    logger.warning(
        "The draws are those of q, without importance weights: the data are not those of the fit. "
        "(sample(resample='psis') weighs by the present ones.)"
    )
    return False


def _log_p_of_mean(fit: FitState) -> float:
    mean = mean_and_std(fit)[0].astype(fit.dtype)
    return float(target_of_every_row(fit).log_prob(mean[None])[0])
