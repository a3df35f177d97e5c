"""How wide q is before the first step: as it was begun, but where that cannot be right."""

from __future__ import annotations

import logging
from dataclasses import replace

import jax
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.families import Product
from vi.foundation.precision import precision
from vi.foundation.seeds import FIRST_DRAWS, START, generator_from, key_from
from vi.targets.base import Batch, Target
from vi.targets.model.prior_widths import prior_std

__all__ = ["with_first_widths"]

logger = logging.getLogger("vi")

NARROWER = 10.0
"""Times that a prior is narrower than q's start before q starts at the prior's width."""

DRAWS = 10
"""Draws of q's start at which log p is looked at."""

SMALLER, TIMES = 4.0, 10
"""By how much a width is divided until log p is finite at the draws, and how often: a millionth."""


def with_first_widths(fit: FitState, target: Target) -> FitState:
    """The record before its first step, with other standard deviations where that is needed.

    A coordinate starts at its prior's standard deviation where that is narrower than q's start by
    more than ten times; where log p at draws of the start is not finite, the coordinates that make
    it so start at their prior's, or narrower still. What the user gave stays, and so do variables
    with an entry for every row, and particles.

    Parameters
    ----------
    fit : FitState
        The record; one that has made steps is returned as it is.
    target : Target
        What the steps are made on.
    """
    if fit.given_std is None or fit.local or not fit.family.has_density:
        return fit
    if fit.run is not None and int(fit.run.step) > 0:
        return fit
    free = np.isnan(fit.given_std)
    if isinstance(fit.family, Product):
        for part in fit.family.parts:
            free[part.entries] &= not part.frozen
    begun = np.where(np.isnan(fit.given_std), fit.beginning.std, fit.given_std)
    prior = prior_std(fit.model, fit.layout, fit.seed) if np.any(free) else begun
    narrow = free & (prior < begun / NARROWER)  # not where it is NaN
    std = np.where(narrow, prior, begun)
    if np.any(narrow):
        logger.info(
            "q starts as wide as the prior in %s: more than %g times narrower than sd %.3f.",
            fit.layout.describe(np.flatnonzero(narrow)),
            NARROWER,
            fit.beginning.std,
        )
    std = _finite(fit, target, std, prior, free)
    return fit if np.array_equal(std, begun) else _begun(fit, std)


def _begun(fit: FitState, std: np.ndarray) -> FitState:
    """The record begun with other standard deviations."""
    with precision(fit.dtype):
        mean = jax.numpy.asarray(fit.layout.flatten(fit.point, fit.dtype))
        width = jax.numpy.asarray(std, fit.dtype)
        start = fit.family.init(mean, width, key_from(fit.seed, START))
        fit = replace(fit, start=start)
        if fit.run is None or fit.algorithm is None:
            return fit
        return replace(fit, run=fit.algorithm.init(start, fit.run.key))


def _finite(
    fit: FitState, target: Target, std: np.ndarray, prior: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """The standard deviations, narrower where log p is not finite at draws; or as they were."""
    start = fit.layout.flatten(fit.point, fit.dtype)
    if fit.devices is not None or fit.data.stream is not None or target.is_finite_around(start):
        return std
    noise = generator_from(fit.seed, FIRST_DRAWS).standard_normal((DRAWS, fit.layout.dim))
    inputs = _inputs(fit, target)

    def finite(width: np.ndarray) -> bool:
        points = (start + width * noise).astype(fit.dtype)
        with np.errstate(all="ignore"):
            return bool(np.all(np.isfinite(target.log_prob(points, inputs))))

    if finite(std):
        return std
    guilty = np.zeros(fit.layout.dim, bool)
    for slot in fit.layout:
        alone = np.zeros(fit.layout.dim, bool)
        alone[slot.slice] = True
        guilty |= alone & (not finite(np.where(alone, std, 0.0)))
    guilty = free & guilty if np.any(free & guilty) else free  # none alone, but several together
    least = np.where(guilty, np.fmin(std, prior), std)
    for _ in range(TIMES):
        if finite(least):
            # the widest that is finite is at the edge of what overflows
            least = np.where(guilty, least / SMALLER, least)
            logger.warning(
                "q starts narrower in %s (sd %.2g at least): log p is not finite at draws of the "
                "usual start.",
                fit.layout.describe(np.flatnonzero(guilty)),
                least[guilty].min(),
            )
            return least
        least = np.where(guilty, least / SMALLER, least)
    return std


def _inputs(fit: FitState, target: Target) -> Batch:
    """What the first step reads."""
    if fit.run is None:
        return target.batch()
    words = np.asarray(jax.random.key_data(fit.run.key))
    with precision(fit.dtype):
        return target.at_step(target.batch(), words, np.asarray(fit.run.step))
