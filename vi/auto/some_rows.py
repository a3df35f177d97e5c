"""Stages of models in batches see some rows, fixed ones, which stand for all by the slope of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_row_blocks, target_of_some_rows
from vi.approximation.record.parameters import dense_covariance, mean_and_std, reported_params
from vi.approximation.results.points import draw
from vi.auto.ground import Ground
from vi.foundation.seeds import STAGES, derived_seed
from vi.targets.batches.row_blocks import POINTS
from vi.targets.batches.some_rows import SomeRows

__all__ = ["see_batches", "see_some_rows", "towards_all_rows"]

ROUNDS = 5
"""How often the slope of all rows is looked at, at most. Each time the mean is off by as much less
as the curvature of some rows is right: by some per cent of before."""

THERE = 0.03
"""Standard deviations that a slope may still move a mean by."""


def see_some_rows(ground: Ground) -> bool:
    """Let stages see some rows, if the model is in batches of rows that are in memory."""
    some = target_of_some_rows(ground.fit)
    if some is not None:
        _see(ground, some)
    return some is not None


def see_batches(ground: Ground) -> None:
    """Let steps see batches again, and looks all rows."""
    _see(ground, None)


def towards_all_rows(ground: Ground, again: Callable[[np.ndarray], None]) -> int:
    """Take the slope of all rows where q is, and fit again, until it moves q no more.

    Parameters
    ----------
    ground : Ground
        A fit whose stages see some rows.
    again : callable
        Fits anew from q, whose mean is to be moved by so much, ``(D,)``.

    Returns
    -------
    int
        Gradients of all rows.
    """
    spent = 0
    for _ in range(ROUNDS):
        some = ground.fit.data.some_rows
        if some is None or some.share == 1.0:
            return spent
        fit, params = ground.fit, reported_params(ground.fit)
        points, _ = draw(fit.family, params, derived_seed(fit.seed, STAGES), POINTS, fit.dtype)
        told = some.as_all(target_of_row_blocks(fit), points)
        spent += POINTS
        lacking = told.tilt - some.tilt
        cov, std = dense_covariance(fit, params), mean_and_std(fit)[1]
        way = cov @ lacking if cov.ndim == 2 else cov * lacking
        left = float(np.max(np.abs(way) / std))
        _see(ground, told)
        if not left > THERE or ground.stopped or ground.deadline.passed():
            break
        again(way)
    return spent


def _see(ground: Ground, some: SomeRows | None) -> None:
    def seen(fit: FitState) -> FitState:
        return replace(fit, data=replace(fit.data, some_rows=some))

    ground.approx.change(seen)
