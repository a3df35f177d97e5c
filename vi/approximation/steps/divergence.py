"""Which variables were not finite when a run diverged, and what helps."""

from __future__ import annotations

import jax
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.diagnostics.status import Status
from vi.foundation.precision import precision
from vi.targets.base import Inputs, Target

__all__ = ["diagnosed"]

FAR = 1e3
"""Unconstrained values beyond this say that the run itself went astray, not the gradient."""

ADVICE = (
    "The last finite state is kept (approx, or the error's .approx). Smaller steps "
    "(obj_optimizer), a start nearer the posterior (start, start_sigma) or tighter priors usually "
    "help."
)


def diagnosed(fit: FitState, target: Target, inputs: Inputs) -> Status:
    """Repeat the failing step's evaluation and name the variables that were not finite.

    Parameters
    ----------
    fit : FitState
        The last good record.
    target : Target
        The log density.
    inputs : Inputs
        The data that the failing step was made on.
    """
    algorithm, run = fit.algorithm, fit.run
    assert algorithm is not None
    assert run is not None
    step = int(run.step) + 1
    with precision(fit.dtype):
        now = target.at_step(inputs, np.asarray(jax.random.key_data(run.key)), np.asarray(run.step))
        question = jax.jit(algorithm.ask)(run, target.rows_of_step(now))
        points = np.asarray(question.points)
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
