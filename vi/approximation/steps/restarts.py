"""Fits from several starts: where they start, what they found, and what cannot be fitted so."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
import xarray as xr

from vi.algorithms.base import Algorithm, State
from vi.approximation.record.fit_state import FitState
from vi.diagnostics.agreement import compared
from vi.diagnostics.losses import recent
from vi.families.point import point_entries, widths
from vi.foundation.precision import precision
from vi.foundation.seeds import RESTARTS, key_from

__all__ = ["check_restarts", "comparison", "first_states"]


def first_states(fit: FitState, runs: int) -> list[State]:
    """The states before the first step, one a run.

    Run 0 starts where a single fit would. The others start from draws of that q, with its standard
    deviations, and have random keys of their own.
    """
    assert fit.algorithm is not None
    assert fit.run is not None
    with precision(fit.dtype):
        return [fit.run, *(_another(fit, fit.algorithm, run) for run in range(1, runs))]


def comparison(fit: FitState, states: Sequence[State], losses: Sequence[np.ndarray]) -> xr.Dataset:
    """What the runs found; see :func:`vi.diagnostics.agreement.compared`.

    Parameters
    ----------
    fit : FitState
        The record, for the names of things.
    states : sequence of State
        The last good state of each run.
    losses : sequence of numpy.ndarray
        The loss trace of each run; NaN from where it failed.
    """
    algorithm, family = fit.algorithm, fit.family
    assert algorithm is not None
    last = [recent(trace) for trace in losses]
    with precision(fit.dtype):
        moments = jax.jit(lambda params: (family.mean(params), family.std(params)))
        found = [moments(algorithm.report(state)) for state in states]
    return compared(
        {
            "elbo": np.array([-np.mean(trace) for trace in last]),
            "elbo_error": np.array([np.std(trace) / np.sqrt(len(trace)) for trace in last]),
            "mean": np.array([np.asarray(mean) for mean, _ in found]),
            "std": np.array([np.asarray(std) for _, std in found]),
        },
        fit.layout,
    )


def check_restarts(fit: FitState, restarts: int, algorithm: Algorithm) -> None:
    """Refuse what cannot be fitted from several starts.

    Parameters
    ----------
    fit : FitState
        The record before the fit, with the devices of the fit.
    restarts : int
        The number of starts, checked already.
    algorithm : Algorithm
        What is to be run; the best run is chosen by its loss, if that is minus the ELBO.
    """
    if restarts == 1:
        return
    if not algorithm.has_elbo:
        raise TypeError(
            f"restarts={restarts}: the best run is chosen by ELBO, and the loss of this fit is "
            f"another: {algorithm.loss_name}. Fit from one start, or with another estimator= or "
            "method=."
        )
    if fit.run is not None:
        raise TypeError(
            f"restarts={restarts}: this approximation was fitted already, and would go on from "
            "where it is. Start a new one, or go back with approx.restart()."
        )
    if fit.local:
        raise TypeError(
            f"restarts={restarts}: not with local variables, whose parameters are as many as the "
            "rows."
        )
    if fit.devices is not None:
        raise TypeError(f"restarts={restarts}: not with mesh= or devices=.")


def _another(fit: FitState, algorithm: Algorithm, run: int) -> State:
    """The state before the first step of a run that starts elsewhere."""
    family, start = fit.family, fit.start
    key = jax.random.fold_in(key_from(fit.seed, RESTARTS), run)
    where, steps, params_key = jax.random.split(key, 3)
    mean = family.draw(start, family.noise(where, start))
    std, points = family.std(start), point_entries(family, len(mean))
    if len(points):  # their draws are all the same
        std = widths(family, start)
        away = jax.random.normal(jax.random.fold_in(where, 1), points.shape, mean.dtype)
        mean = mean.at[points].add(std[points] * away)
    params = family.init(mean, std, params_key)
    params = {name: value if family.trains(name) else start[name] for name, value in params.items()}
    return algorithm.init(params, steps)
