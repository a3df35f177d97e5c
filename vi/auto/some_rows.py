"""Stages of models in batches see some rows, which stand for all by the slope of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import (
    target_of_all_rows,
    target_of_row_blocks,
    target_of_some_rows,
)
from vi.approximation.record.parameters import dense_covariance, mean_and_std, reported_params
from vi.approximation.results.points import draw
from vi.auto.ground import Ground
from vi.foundation.seeds import STAGES, derived_seed
from vi.targets.base import Target
from vi.targets.batches.row_blocks import POINTS
from vi.targets.batches.some_rows import SomeRows

__all__ = ["NEAR", "see", "see_batches", "see_some_rows", "towards_all_rows"]

NEAR = 0.2
"""Standard deviations by which the slope of all rows may still move a mean."""

ROUNDS = 5
"""How often the slope of all rows is looked at, at most. Each time the mean is off by as much less
as the curvature of some rows is right: by some per cent of before."""


def see_some_rows(ground: Ground) -> bool:
    """Let stages see some rows, or all where those are few, if steps would see batches of them."""
    fit = ground.fit
    batches = ground.options.sees_batches(fit.model)
    if batches:
        see(ground, target_of_some_rows(fit) or target_of_all_rows(fit))
    return batches


def see_batches(ground: Ground) -> None:
    """Let steps see batches again, and looks all rows."""
    see(ground, None)


def towards_all_rows(ground: Ground, again: Callable[[np.ndarray], None], near: float) -> int:
    """Take the slope of all rows where q is, and fit again, until it moves q little.

    Parameters
    ----------
    ground : Ground
        A fit whose stages see some rows.
    again : callable
        Fits anew from q, whose mean is to be moved by so much, ``(D,)``.

    near : float
        Standard deviations of a move after which none is made any more.

    Returns
    -------
    int
        Gradients of all rows.
    """
    spent = 0
    for _ in range(ROUNDS):
        some = ground.fit.data.some_rows
        if not isinstance(some, SomeRows):
            return spent
        fit, params = ground.fit, reported_params(ground.fit)
        points, _ = draw(fit.family, params, derived_seed(fit.seed, STAGES), POINTS // 2, fit.dtype)
        told = some.as_all(target_of_row_blocks(fit), points, mean_and_std(fit)[0])
        spent += POINTS
        lacking = told.tilt - some.tilt
        cov, std = dense_covariance(fit, params), mean_and_std(fit)[1]
        way = cov @ lacking if cov.ndim == 2 else cov * lacking
        left = float(np.max(np.abs(way) / std))
        see(ground, told)
        if not np.isfinite(left):
            break
        again(way)
        if left <= near or ground.stopped or ground.deadline.passed():
            break
    return spent


def see(ground: Ground, some: Target | None) -> None:
    """Let steps and looks see what stands for all rows; None for batches and all rows."""

    def seen(fit: FitState) -> FitState:
        return replace(fit, data=replace(fit.data, some_rows=some))

    ground.approx.change(seen)
