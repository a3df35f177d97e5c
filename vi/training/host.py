"""Steps around an evaluation on the host: one compiled call a step."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, Asked, State
from vi.foundation.fusion import apart
from vi.targets.base import Batch, Target
from vi.training.runner import ALWAYS, Runner, tell_and_look

__all__ = ["HostRunner"]


class HostRunner(Runner):
    """One compiled call a step, which tells the last answer and asks the next question, around a
    host evaluation.
    """

    def __init__(self, target: Target, algorithm: Algorithm) -> None:
        self._target = target
        self._pending: tuple[Any, Any, Any] = (None, None, None)  # the next chunk's first question
        options = _in_sequence()
        self._ask = jax.jit(
            lambda state, seen, always: _question(algorithm, state, seen, always),
            compiler_options=options,
        )
        self._step = jax.jit(
            lambda state, memo, report, *answer: _tell_and_ask(
                algorithm, state, memo, report, *answer
            ),
            compiler_options=options,
        )

    def run(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
        losses = np.empty(n)
        words, step = np.asarray(jax.random.key_data(state.key)), int(state.step)
        seen = self._seen(batch, words, step)
        asked_for, *question = self._pending
        memo, report = (
            question if asked_for is state and not seen else self._ask(state, seen, ALWAYS)
        )
        points, *_ = _read(report, self._target.dim)
        for i in range(n):
            now = self._target.at_step(batch, words, step + i)
            log_prob, score = self._target.value_and_score(points, now)
            following = self._seen(batch, words, step + i + 1)
            new, memo, report = self._step(
                state, memo, report, log_prob, score, seen, following, ALWAYS
            )
            seen = following
            points, losses[i], finite = _read(report, self._target.dim)
            if not finite:
                return state, losses[:i], False
            state = new
        self._pending = (state, memo, report)
        return state, losses, True

    def _seen(self, batch: Batch, words: Any, step: int) -> dict[str, Any]:
        """What the target says of the rows of a step; nothing where no variable is local."""
        if not self._target.has_local:
            return {}
        return self._target.local(self._target.at_step(batch, words, step))


def _question(
    algorithm: Algorithm, state: State, seen: Any, always: Any, loss: Any = 0.0, finite: Any = True
) -> tuple[Any, jax.Array]:
    """The next question: what ``tell`` has to remember, and all that the host reads of a step,
    in one vector.
    """

    def ask(state: State, seen: Any) -> Asked:
        stepper, part, _ = algorithm.focus(state, seen)
        return stepper.ask(part)

    asked = apart(ask, always, state, seen)
    scalars = jnp.stack([jnp.asarray(scalar, asked.points.dtype) for scalar in (loss, finite)])
    return asked.memo, jnp.concatenate([asked.points.ravel(), scalars])


def _tell_and_ask(
    algorithm: Algorithm,
    state: State,
    memo: Any,
    report: jax.Array,
    log_prob: jax.Array,
    score: jax.Array,
    seen: Any,
    following: Any,
    always: Any,
) -> tuple[State, Any, jax.Array]:
    asked = Asked(report[:-2].reshape(score.shape), memo)
    stepper, part, put_back = algorithm.focus(state, seen)
    part, loss, finite = tell_and_look(stepper, part, asked, log_prob, score)
    new = put_back(part)
    return new, *_question(algorithm, new, following, always, loss, finite)


@functools.cache
def _in_sequence() -> dict[str, str]:
    """Options with which XLA computes one thing after the other.

    A step on the host is short: handing parts of it to other threads takes longer than computing
    them. Empty where this XLA does not know the option.
    """
    options = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}
    try:
        jax.jit(jnp.negative, compiler_options=options).lower(jnp.zeros(())).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def _read(report: jax.Array, dim: int) -> tuple[np.ndarray, float, bool]:
    """Points ``(B, D)``, loss, and whether loss and parameters are finite: one transfer a step."""
    values = np.asarray(report)
    return values[:-2].reshape(-1, dim), float(values[-2]), bool(values[-1])
