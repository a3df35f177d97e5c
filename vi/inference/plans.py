"""The record from which a fit goes on, and the one that a method without steps has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vi.algorithms import Algorithm
from vi.approximation.record.begin import with_algorithm
from vi.approximation.record.fit_state import FitState
from vi.approximation.steps.restarts import check_restarts
from vi.approximation.steps.warm_start import can_warm_start
from vi.inference.judged import check_can_be_judged
from vi.inference.one_shot import OneShot
from vi.inference.run_options import RunOptions

__all__ = ["begun", "found_in_one_go"]


def found_in_one_go(
    fit: FitState, method: OneShot, options: RunOptions, restart: Mapping[str, Any] | None
) -> FitState:
    """The record with what a method without steps has found.

    Parameters
    ----------
    fit : FitState
        The record before.
    method : OneShot
        What finds it.
    options : RunOptions
        The options, checked.
    restart : dict or None
        From where the approximation begins anew, if it does.
    """
    fit = check_can_be_judged(options.applied(fit, restart), options)
    return method.solve(fit, options.steps) if options.steps > 0 else fit


def begun(
    fit: FitState,
    algorithm: Algorithm,
    options: RunOptions,
    restart: Mapping[str, Any] | None,
    warm_start: bool,
) -> FitState:
    """The record before the first step of a fit; refuse what cannot be fitted so.

    Parameters
    ----------
    fit, options, restart
        As for :func:`found_in_one_go`.
    algorithm : Algorithm
        What makes the steps.
    warm_start : bool
        Whether a search comes before the first step, where it can.
    """
    fit = check_can_be_judged(options.applied(fit, restart), options)
    check_restarts(fit, options.restarts, algorithm)
    # parameters that were set, or found in one go, are a start that somebody has chosen
    chosen = fit.given_std is None
    wanted = warm_start and "obj_optimizer" not in options.given and not chosen
    fit = with_algorithm(fit, algorithm)
    return replace(fit, warm_start=wanted and can_warm_start(fit))
