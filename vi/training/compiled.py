"""Many steps a call on either backend: a compiled loop on JAX, a host loop around a host
evaluation.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.foundation.fusion import in_memory
from vi.foundation.precision import called_afresh
from vi.targets.base import Batch, Target
from vi.training.host import HostRunner
from vi.training.runner import BUFFER, Runner, tell_and_look

__all__ = ["CompiledRunner", "compiled_step", "runner_for"]


class CompiledRunner(Runner):
    """All steps of a chunk in one compiled call.

    A ``while_loop`` with a traced trip count and a loss buffer of fixed size runs chunks of every
    length: chunk boundaries change no bit, and nothing is compiled again.
    """

    def __init__(self, target: Target, algorithm: Algorithm) -> None:
        self._loop = jax.jit(
            lambda state, batch, buffer, n: compiled_loop(
                target, algorithm, state, batch, buffer, n
            ),
            donate_argnums=2,
            out_shardings=target.replicated,
        )
        self._dtype = target.dtype
        self._buffer: Any = None

    def run(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
        new, losses, finite = self._advance(state, batch, min(n, BUFFER))
        if (
            not finite
        ):  # the loop is deterministic: go back to the last good state by running one step less
            new, losses, _ = self._advance(state, batch, len(losses) - 1)
        return new, losses, finite

    def _advance(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
        buffer, self._buffer = self._buffer, None  # taken, so that another thread takes its own
        if buffer is None:
            buffer = np.zeros(BUFFER, self._dtype)
        state, buffer, done, finite = called_afresh(self._loop, state, batch, buffer, np.int32(n))
        losses = np.array(np.asarray(buffer)[: int(done)])
        self._buffer = buffer
        return state, losses, bool(finite)


def compiled_loop(
    target: Target, algorithm: Algorithm, state: State, batch: Batch, buffer: Any, n: Any
) -> Any:
    """Up to ``n`` steps as one traceable call: the state, the losses, the steps done, and
    whether all were finite.
    """

    def proceed(carry: Any) -> Any:
        done, _, _, finite = carry
        return (done < n) & finite

    def step(carry: Any) -> Any:
        done, state, buffer, _ = carry
        state, loss, finite = compiled_step(target, algorithm, state, batch, n >= 0)
        return done + 1, state, buffer.at[done].set(loss, mode="promise_in_bounds"), finite

    done, state, buffer, finite = jax.lax.while_loop(
        proceed, step, (jnp.zeros((), jnp.int32), state, buffer, jnp.array(True))
    )
    return state, buffer, done, finite


def compiled_step(
    target: Target, algorithm: Algorithm, state: State, batch: Batch, always: Any
) -> tuple[State, Any, Any]:
    """One step: the state, the loss, whether all is finite; ``always`` is for
    :func:`vi.foundation.fusion.in_memory`.
    """
    now = target.at_step(batch, jax.random.key_data(state.key), state.step)
    stepper, part, put_back = algorithm.focus(state, target.local(now))
    asked = stepper.ask(part)
    asked = asked._replace(points=in_memory(asked.points, always))
    log_prob, score = target.value_and_score(asked.points, now)
    part, loss, finite = tell_and_look(stepper, part, asked, log_prob, score)
    return put_back(part), loss, finite


def runner_for(target: Target, algorithm: Algorithm) -> Runner:
    """The runner for a target and an algorithm; equal algorithms on one target share their
    compiled code.
    """
    cache: dict[Algorithm, Runner] = target.__dict__.setdefault("_runners", {})
    if algorithm not in cache:
        cache[algorithm] = (CompiledRunner if target.traceable else HostRunner)(target, algorithm)
    return cache[algorithm]
