"""Steps around an evaluation on the host: one compiled call a step."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, Question, Rows, State
from vi.foundation.compiling import known_options
from vi.foundation.fusion import apart
from vi.targets.base import Inputs, StepInputs, Target
from vi.training.runner import ALWAYS, Runner

__all__ = ["HostRunner"]

IN_SEQUENCE = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
"""With this XLA computes one thing after the other.

A step on the host is short: handing parts of it to other threads takes longer than computing them.
"""


class HostRunner(Runner):
    """One compiled call a step, which tells the last answer and asks the next question.

    Dispatching a compiled call is what the step of a small model costs: hence one, not two, and one
    transfer of a *report*, the vector ``(K * D + 1,)`` of the next points and the loss.

    Parameters
    ----------
    target : Target
        A log density that is evaluated on the host.
    algorithm : Algorithm
        What learns from it.
    """

    def __init__(self, target: Target, algorithm: Algorithm) -> None:
        self._target = target
        # the question that the last step of a chunk asked: the state that asked, noise, report
        self._pending: tuple[Any, Any, Any] = (None, None, None)
        options = known_options(*IN_SEQUENCE.items())
        self._ask = jax.jit(
            lambda state, rows, always: _question(algorithm, state, rows, always),
            compiler_options=options,
        )
        self._step = jax.jit(
            lambda *arguments: _tell_and_ask(algorithm, *arguments), compiler_options=options
        )

    def run(self, state: State, inputs: Inputs, n: int) -> tuple[State, np.ndarray, bool]:
        losses = np.empty(n)
        words, step = np.asarray(jax.random.key_data(state.key)), int(state.step)
        now, rows = self._at(inputs, words, step)
        asked_by, *question = self._pending
        # with local variables the question depends on the data too, which may have changed since
        noise, report = (
            question if asked_by is state and not rows else self._ask(state, rows, ALWAYS)
        )
        points, _ = _read(report, self._target.dim)
        for i in range(n):
            log_prob, score = self._target.value_and_score(points, now)
            # The data of the step after the last one may not be here yet, and only the questions
            # of local variables need them.
            if i + 1 < n or self._target.has_local:
                now, next_rows = self._at(inputs, words, step + i + 1)
            else:
                next_rows = {}
            new, noise, report = self._step(
                state, noise, report, log_prob, score, rows, next_rows, ALWAYS
            )
            rows = next_rows
            points, losses[i] = _read(report, self._target.dim)
            if not math.isfinite(losses[i]):
                return state, losses[:i], False
            state = new
        self._pending = (state, noise, report)
        return state, losses, True

    def _at(self, inputs: Inputs, words: Any, step: int) -> tuple[StepInputs, Rows]:
        """What the log density reads in a step, and its rows of local variables."""
        now = self._target.at_step(inputs, words, step)
        return now, self._target.rows_of_step(now)


def _question(
    algorithm: Algorithm, state: State, rows: Rows, always: Any, loss: Any = 0.0
) -> tuple[Any, jax.Array]:
    """The noise of the next question, and the report that the host reads, ``(K * D + 1,)``."""
    # apart: the same bits whether it stands alone or behind the answer to the last question
    question = apart(algorithm.ask, always, state, rows)
    loss = jnp.asarray(loss, question.points.dtype)
    return question.noise, jnp.concatenate([question.points.ravel(), loss[None]])


def _tell_and_ask(
    algorithm: Algorithm,
    state: State,
    noise: Any,
    report: jax.Array,
    log_prob: jax.Array,
    score: jax.Array,
    rows: Rows,
    next_rows: Rows,
    always: Any,
) -> tuple[State, Any, jax.Array]:
    """The end of one step and the beginning of the next.

    Parameters
    ----------
    algorithm, state
        What asked, and its state.
    noise, report
        The question, as :func:`_question` returned it.
    log_prob, score : array
        The answer, ``(K,)`` and ``(K, D)``.
    rows, next_rows : dict of RowsOfStep
        The rows of the step, and of the one after it.
    always : scalar
        See :data:`vi.training.runner.ALWAYS`.

    Returns
    -------
    tuple
        The new state, and the next question, whose report has this step's loss.
    """
    question = Question(report[:-1].reshape(score.shape), noise)
    new, loss = algorithm.tell(state, question, log_prob, score, rows)
    return new, *_question(algorithm, new, next_rows, always, loss)


def _read(report: jax.Array, dim: int) -> tuple[np.ndarray, float]:
    """The points ``(K, D)`` and the loss of a report: one transfer a step."""
    values = np.asarray(report)
    return values[:-1].reshape(-1, dim), float(values[-1])
