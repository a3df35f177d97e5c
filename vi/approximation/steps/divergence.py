"""Which variables were not finite when a run diverged, and what helps."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.approximation.record.fit_state import FitState
from vi.diagnostics.status import Status
from vi.foundation.precision import precision
from vi.targets.base import Batch, Target

__all__ = ["diagnosed"]

FAR = 1e3
"""Unconstrained values beyond this say that the run itself went astray, not the gradient."""

ADVICE = (
    "The last finite state is kept (approx, or the error's .approx). Smaller steps "
    "(obj_optimizer), a start nearer the posterior (start, start_sigma) or tighter priors usually "
    "help."
)


def diagnosed(fit: FitState, target: Target, batch: Batch) -> Status:
    """Repeat the failing step's evaluation and name the variables that were not finite.

    Parameters
    ----------
    fit : FitState
        The last good record.
    target : Target
        The log density.
    batch : Batch
        The data of the failing step.
    """
    algorithm, run = fit.algorithm, fit.run
    assert algorithm is not None
    assert run is not None
    step = int(run.step) + 1
    with precision(fit.dtype):
        now = target.at_step(batch, np.asarray(jax.random.key_data(run.key)), np.asarray(run.step))
        ask = jax.jit(lambda state, seen: _points(algorithm, state, seen))
        points = np.asarray(ask(run, target.local(now)))
        value, score = (np.asarray(a) for a in target.value_and_score(points, now))
    bad = np.flatnonzero(~np.all(np.isfinite(points) & np.isfinite(score), axis=0))
    near = np.all(np.abs(points) < FAR)
    if bad.size and near and np.all(np.isfinite(value)) and target.backend == "jax":
        what = (
            f"JAX's gradient in {target.layout.describe(bad)} is not finite although log p is; "
            "backend='pytensor' differentiates the model itself"
        )
    elif bad.size:
        what = f"the gradient or the value of {target.layout.describe(bad)} is not finite"
    elif not np.all(np.isfinite(value)):
        extreme = np.argsort(-np.abs(points).max(axis=0))[:3]
        what = (
            f"log p is {value[~np.isfinite(value)][0]} (largest entries: "
            f"{target.layout.describe(extreme)})"
        )
    else:
        what = "the update of the parameters overflowed"
    return Status("diverged", step - 1, f"NaN or infinity at step {step}: {what}. {ADVICE}")


def _points(algorithm: Algorithm, state: State, seen: Any) -> jax.Array:
    """The points at which a step asks for the log density."""
    stepper, part, _ = algorithm.focus(state, seen)
    return stepper.ask(part).points
