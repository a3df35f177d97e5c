"""Which variables were not finite when a run diverged, and what helps."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from vi.algorithms import Algorithm, Gradient, Question, State
from vi.approximation.record.fit_state import FitState
from vi.diagnostics.status import Status
from vi.foundation.contracts import is_foreign
from vi.foundation.precision import precision
from vi.targets.base import Inputs, StepInputs, Target

__all__ = ["Divergence", "diagnosed"]

FAR = 1e3
"""Unconstrained values beyond this say that the run itself went astray, not the gradient."""

KEPT = "The last finite state is kept (approx, or the error's .approx)."

ADVICE = (
    "Smaller steps (obj_optimizer), a start nearer the posterior (start, start_sigma) or tighter "
    "priors usually help."
)


class Divergence(NamedTuple):
    """How a run diverged.

    Parameters
    ----------
    status : Status
        In words.
    lost_in : str
        The variables in which JAX's gradient, and nothing else, was not finite: another backend may
        have it.
    """

    status: Status
    lost_in: str = ""


def diagnosed(fit: FitState, target: Target, inputs: Inputs) -> Divergence:
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
        fault = None
        own = (algorithm, getattr(algorithm, "objective", algorithm), algorithm.family)
        finite = all(np.all(np.isfinite(part)) for part in (points, value, score))
        if finite and is_foreign(*own):
            fault = _of_the_step(algorithm, run, question, value, score, target.rows_of_step(now))
    what, advice = fault or _of_the_density(target, points, value, score)
    flat = np.empty(0) if fault else _flat(fit, target, now, len(points))
    if flat.size:
        names = target.layout.describe(flat)
        what = f"log p does not depend on {names}, so that q widens there without end"
        advice = "Give it a proper prior, or leave it out of the model."
    status = Status(
        "diverged", step - 1, f"NaN or infinity at step {step}: {what}. {KEPT} {advice}"
    )
    lost = _lost_by_jax(target, points, value, score)
    return Divergence(status, target.layout.describe(lost) if lost.size else "")


def _of_the_density(
    target: Target, points: np.ndarray, value: np.ndarray, score: np.ndarray
) -> tuple[str, str]:
    """Which variables, or which part of the step, were not finite; and what helps."""
    bad = np.flatnonzero(~np.all(np.isfinite(points) & np.isfinite(score), axis=0))
    lost = _lost_by_jax(target, points, value, score)
    if lost.size:
        what = (
            f"JAX's gradient in {target.layout.describe(lost)} is not finite although log p is; "
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
    return what, ADVICE


def _lost_by_jax(
    target: Target, points: np.ndarray, value: np.ndarray, score: np.ndarray
) -> np.ndarray:
    """Entries in which JAX's gradient is not finite where all else is, not far from the start."""
    elsewhere = np.all(np.isfinite(value)) and np.all(np.abs(points) < FAR)  # NaN is not below
    if target.backend != "jax" or not elsewhere:
        return np.empty(0, int)
    return np.flatnonzero(~np.all(np.isfinite(score), axis=0))


def _of_the_step(
    algorithm: Algorithm,
    run: State,
    question: Question,
    value: np.ndarray,
    score: np.ndarray,
    rows: Any,
) -> tuple[str, str] | None:
    """What of a user's step was not finite although log p and its gradient are, if it is known.

    Of vi's own objectives that is how parameters that overflow are met first.
    """
    advice = "Look at what it divides by, and takes logarithms and roots of, at these draws."
    if isinstance(algorithm, Gradient):
        objective, family = algorithm.objective, algorithm.family

        def loss_of(params: Any) -> jax.Array:
            def linearised(z: jax.Array) -> jax.Array:
                along = jax.numpy.sum(score * (z - question.points), axis=-1)
                return jax.numpy.asarray(value) + along

            return objective.loss(family, params, question.noise, linearised)

        loss, gradient = jax.jit(jax.value_and_grad(loss_of))(run.params)
        bad = [name for name, part in gradient.items() if not np.all(np.isfinite(part))]
        here = "although log p and its gradient are finite at the draws"
        name = f"the objective {objective.short_name!r} (family {family.short_name!r})"
        if not np.isfinite(loss):
            return f"{name} is {float(loss)}, {here}", advice
        if bad:
            return f"the gradient of {name} in {', '.join(bad)} is not finite, {here}", advice
        return None
    new, loss = jax.jit(algorithm.tell)(run, question, value, score, rows)
    if all(np.all(np.isfinite(part)) for part in new.params.values()):
        return f"the loss of the algorithm {algorithm.short_name!r} is {float(loss)}", advice
    return None


def _flat(fit: FitState, target: Target, now: StepInputs, count: int) -> np.ndarray:
    """Entries in which log p has no gradient at some points around the start, where it is finite.

    At one point that may be a mode; at random ones it is a density without the variable.
    """
    start = target.layout.flatten(fit.point, fit.dtype)
    if fit.local or len(start) != target.dim:
        return np.empty(0, int)
    noise = np.random.default_rng(0).normal(size=(count, target.dim))
    with precision(fit.dtype):
        points = (start + noise).astype(fit.dtype)
        value, score = (np.asarray(part) for part in target.value_and_score(points, now))
    if not (np.all(np.isfinite(value)) and np.all(np.isfinite(score))):
        return np.empty(0, int)
    return np.flatnonzero(np.all(score == 0, axis=0))
