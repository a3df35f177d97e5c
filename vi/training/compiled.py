"""Many steps in one compiled call, for log densities that JAX evaluates."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.foundation.compiling import HASTY, called_afresh, known_options
from vi.foundation.fusion import in_memory
from vi.targets.backends.evaluation import entries_of
from vi.targets.base import Inputs, Target
from vi.training.runner import BUFFER, Runner

__all__ = ["CompiledRunner", "compiled_loop", "compiled_step"]


LITTLE = 10**4
"""Entries of the data of which some tens of steps take less time than the compiler saves."""


class CompiledRunner(Runner):
    """All steps of a chunk in one compiled call.

    A ``while_loop`` with a traced trip count and a loss buffer of fixed size runs chunks of every
    length: chunk boundaries change no bit, and nothing is compiled again.

    Parameters
    ----------
    target : Target
        A log density that traces.
    algorithm : Algorithm
        What learns from it.
    """

    def __init__(self, target: Target, algorithm: Algorithm) -> None:
        self._loop = jax.jit(
            lambda state, inputs, buffer, n: compiled_loop(
                target, algorithm, state, inputs, buffer, n
            ),
            donate_argnums=2,
            out_shardings=target.replicated,
            compiler_options=_options(target, algorithm),
        )
        self._dtype = target.dtype
        self._buffer: Any = None

    def run(self, state: State, inputs: Inputs, n: int) -> tuple[State, np.ndarray, bool]:
        new, losses, finite = self._advance(state, inputs, min(n, BUFFER))
        if not finite:
            # The loop is deterministic: running one step less gives the last good state. To keep
            # it in every step instead would cost a kernel an array.
            new, losses, _ = self._advance(state, inputs, len(losses) - 1)
        return new, losses, finite

    def _advance(self, state: State, inputs: Inputs, n: int) -> tuple[State, np.ndarray, bool]:
        buffer, self._buffer = self._buffer, None  # taken, so that another thread takes its own
        if buffer is None:
            buffer = np.zeros(BUFFER, self._dtype)
        state, buffer, done, finite = called_afresh(self._loop, state, inputs, buffer, np.int32(n))
        losses = np.array(np.asarray(buffer)[: int(done)])
        self._buffer = buffer
        return state, losses, bool(finite)


def _options(target: Target, algorithm: Algorithm) -> dict[str, Any] | None:
    """XLA's options: where a fit is some steps on little data, compiling them takes longest."""
    little = algorithm.few_steps and entries_of(target) < LITTLE
    return known_options(*HASTY.items()) if little else None


def compiled_loop(
    target: Target, algorithm: Algorithm, state: State, inputs: Inputs, buffer: Any, n: Any
) -> Any:
    """Up to ``n`` steps as one traceable call.

    Parameters
    ----------
    target, algorithm
        What is evaluated, and what learns from it.
    state : State
        The state before the first step.
    inputs : Inputs
        The data of all steps.
    buffer : array
        ``(BUFFER,)``; losses are written to its beginning.
    n : scalar
        Steps, at most ``BUFFER``.

    Returns
    -------
    tuple
        The state, the buffer, the steps done, and whether all were finite; if not, the last one
        was not.
    """

    def proceed(carry: Any) -> Any:
        done, _, _, finite = carry
        return (done < n) & finite

    def step(carry: Any) -> Any:
        done, state, buffer, _ = carry
        state, loss = compiled_step(target, algorithm, state, inputs, n >= 0)
        buffer = buffer.at[done].set(loss, mode="promise_in_bounds")
        return done + 1, state, buffer, jnp.isfinite(loss)

    done, state, buffer, finite = jax.lax.while_loop(
        proceed, step, (jnp.zeros((), jnp.int32), state, buffer, jnp.array(True))
    )
    return state, buffer, done, finite


def compiled_step(
    target: Target, algorithm: Algorithm, state: State, inputs: Inputs, always: Any
) -> tuple[State, Any]:
    """One step: the new state and the loss; ``always`` as in :mod:`vi.foundation.fusion`."""
    now = target.at_step(inputs, jax.random.key_data(state.key), state.step)
    rows = target.rows_of_step(now)
    question = algorithm.ask(state, rows)
    question = in_memory(question, always)
    log_prob, score = target.value_and_score(question.points, now)
    return algorithm.tell(state, question, log_prob, score, rows)
