"""Many steps a call on either backend: a compiled loop on JAX, a host loop around a host evaluation."""

from __future__ import annotations

import abc
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, Asked, State
from vi.materialise import apart, in_memory
from vi.precision import called_afresh
from vi.targets.base import Batch, Target

__all__ = ["BUFFER", "CompiledRunner", "HostRunner", "Runner", "compiled_step", "runner_for"]

BUFFER = 8192
"""Longest chunk of the compiled loop, the length of its loss buffer."""

ALWAYS = np.bool_(True)
"""An argument of compiled code, so that it is not known there."""


class Runner(abc.ABC):
    """Advances a state by up to ``n`` steps; abstract over where the log density is evaluated."""

    @abc.abstractmethod
    def run(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
        """Advance by ``n`` steps, or to the last step with finite values.

        Returns
        -------
        state : State
            The state after the last good step.
        losses : numpy.ndarray
            The good steps' losses; as many as steps done.
        finite : bool
            False if the next step gave a loss or a parameter that is not finite.
        """

    def step_of(self, state: Any) -> int:
        """Steps that a state has behind it."""
        return int(state.step)


class CompiledRunner(Runner):
    """All steps of a chunk in one compiled call.

    A ``while_loop`` with a traced trip count and a loss buffer of fixed size runs chunks of every length: chunk
    boundaries change no bit, and nothing is compiled again.
    """

    def __init__(self, target: Target, algorithm: Algorithm) -> None:
        self._loop = jax.jit(
            lambda state, batch, buffer, n: compiled_loop(target, algorithm, state, batch, buffer, n),
            donate_argnums=2,
            out_shardings=target.replicated,
        )
        self._dtype = target.dtype
        self._buffer: Any = None

    def run(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
        new, losses, finite = self._advance(state, batch, min(n, BUFFER))
        if not finite:  # the loop is deterministic: go back to the last good state by running one step less
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


def compiled_loop(target: Target, algorithm: Algorithm, state: State, batch: Batch, buffer: Any, n: Any) -> Any:
    """Up to ``n`` steps as one traceable call: the state, the losses, the steps done, and whether all were finite."""

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
    """One step: the state, the loss, whether all is finite; ``always`` is for :func:`vi.materialise.in_memory`."""
    now = target.at_step(batch, jax.random.key_data(state.key), state.step)
    stepper, part, put_back = algorithm.focus(state, target.local(now))
    asked = stepper.ask(part)
    asked = asked._replace(points=in_memory(asked.points, always))
    log_prob, score = target.value_and_score(asked.points, now)
    part, loss, finite = _tell(stepper, part, asked, log_prob, score)
    return put_back(part), loss, finite


def _tell(algorithm: Algorithm, state: State, asked: Asked, log_prob: Any, score: Any) -> tuple[State, Any, Any]:
    """One ``tell``, and whether its loss and the new parameters are finite."""
    state, loss = algorithm.tell(state, asked, log_prob, score)
    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(state.params):
        finite &= jnp.all(jnp.isfinite(leaf))
    return state, loss, finite


class HostRunner(Runner):
    """One compiled call a step, which tells the last answer and asks the next question, around a host evaluation."""

    def __init__(self, target: Target, algorithm: Algorithm) -> None:
        self._target = target
        self._pending: tuple[Any, Any, Any] = (None, None, None)  # the next chunk's first question
        options = _in_sequence()
        self._ask = jax.jit(
            lambda state, seen, always: _question(algorithm, state, seen, always), compiler_options=options
        )
        self._step = jax.jit(
            lambda state, memo, report, *answer: _tell_and_ask(algorithm, state, memo, report, *answer),
            compiler_options=options,
        )

    def run(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
        losses = np.empty(n)
        words, step = np.asarray(jax.random.key_data(state.key)), int(state.step)
        seen = self._seen(batch, words, step)
        asked_for, *question = self._pending
        memo, report = question if asked_for is state and not seen else self._ask(state, seen, ALWAYS)
        points, *_ = _read(report, self._target.dim)
        for i in range(n):
            now = self._target.at_step(batch, words, step + i)
            log_prob, score = self._target.value_and_score(points, now)
            following = self._seen(batch, words, step + i + 1)
            new, memo, report = self._step(state, memo, report, log_prob, score, seen, following, ALWAYS)
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
    """The next question: what ``tell`` has to remember, and all that the host reads of a step, in one vector."""

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
    part, loss, finite = _tell(stepper, part, asked, log_prob, score)
    new = put_back(part)
    return new, *_question(algorithm, new, following, always, loss, finite)


@functools.cache
def _in_sequence() -> dict[str, str]:
    """Options with which XLA computes one thing after the other.

    A step on the host is short: handing parts of it to other threads takes longer than computing them. Empty where
    this XLA does not know the option.
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


def runner_for(target: Target, algorithm: Algorithm) -> Runner:
    """The runner for a target and an algorithm; equal algorithms on one target share their compiled code."""
    cache: dict[Algorithm, Runner] = target.__dict__.setdefault("_runners", {})
    if algorithm not in cache:
        cache[algorithm] = (CompiledRunner if target.traceable else HostRunner)(target, algorithm)
    return cache[algorithm]
