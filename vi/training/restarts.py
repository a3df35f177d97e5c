"""Several runs at once: in one compiled loop on JAX, one after the other in every chunk around a
host evaluation.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.diagnostics.losses import average_loss
from vi.foundation.precision import called_afresh
from vi.targets.base import Batch, Target
from vi.training.compiled import compiled_step
from vi.training.history import History
from vi.training.host import HostRunner
from vi.training.runner import BUFFER, Runner

__all__ = ["RestartsRunner", "Traces", "restarts_runner"]


class Traces(History):
    """The losses of several runs; read as a trace, it is that of the leading one, whose recent
    losses are lowest.

    Parameters
    ----------
    runs : int
        Number of runs.

    Examples
    --------
    >>> traces = Traces(2)
    >>> traces.extend(np.array([[3.0, 4.0], [2.0, 1.0]]))
    >>> traces.leader, traces.values.tolist()
    (1, [4.0, 1.0])
    """

    def __init__(self, runs: int) -> None:
        self._traces = [History() for _ in range(runs)]
        self.leader = 0
        """Number of the leading run."""

    def extend(self, losses: np.ndarray) -> None:
        """Append losses ``(steps, runs)``, NaN from where a run failed."""
        for trace, own in zip(self._traces, losses.T, strict=True):
            trace.extend(own)
        if len(self):
            recent = [average_loss(trace.values) for trace in self._traces]
            self.leader = int(np.argmin(np.where(np.isfinite(recent), recent, np.inf)))

    def of_run(self, run: int) -> np.ndarray:
        """The losses of one run."""
        return self._traces[run].values

    @property
    def values(self) -> np.ndarray:
        """The losses of the leading run so far."""
        return self.of_run(self.leader)

    def __len__(self) -> int:
        return len(self._traces[0])


class RestartsRunner(Runner):
    """Advances several states together; a run whose values stop being finite stays at its last good
    state.

    Losses are ``(steps, runs)``; the chunk is not finite once no run is.
    """

    runs: int
    """How many."""

    @abc.abstractmethod
    def joined(self, states: Sequence[State]) -> Any:
        """The states as :meth:`run` takes them."""

    def step_of(self, state: Any) -> int:
        return max(
            int(self.one(state, run).step) for run in range(self.runs)
        )  # a failed one stays behind

    @abc.abstractmethod
    def one(self, states: Any, run: int) -> State:
        """The state of one run."""


class _Compiled(RestartsRunner):
    """The runs are one batched state in one compiled loop, which ends where a run fails.

    The state of that run before the failing step is then set aside, and the loop goes on without
    looking at it.
    """

    def __init__(self, target: Target, algorithm: Algorithm, runs: int) -> None:
        self._loop = jax.jit(lambda *given: _loop(target, algorithm, *given))
        self._dtype, self.runs = target.dtype, runs
        self._failed: dict[int, State] = {}

    def joined(self, states: Sequence[State]) -> State:
        joined: State = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return joined

    def one(self, states: State, run: int) -> State:
        own: State = self._failed.get(run) or jax.tree.map(lambda leaf: leaf[run], states)
        return own

    def run(self, state: Any, batch: Batch, n: int) -> tuple[Any, np.ndarray, bool]:
        new, losses, finite = self._advance(state, batch, min(n, BUFFER))
        failing = [run for run in range(self.runs) if not finite[run] and run not in self._failed]
        if (
            failing
        ):  # the loop is deterministic: go back to the last good state by running one step less
            new, losses, _ = self._advance(state, batch, len(losses) - 1)
            self._failed |= {run: self.one(new, run) for run in failing}
        return new, losses, len(self._failed) < self.runs

    def _advance(self, states: State, batch: Batch, n: int) -> tuple[State, np.ndarray, np.ndarray]:
        failed = np.isin(np.arange(self.runs), list(self._failed))
        buffer = np.zeros((BUFFER, self.runs), self._dtype)
        states, buffer, done, finite = called_afresh(
            self._loop, states, batch, buffer, failed, np.int32(n)
        )
        losses = np.array(np.asarray(buffer)[: int(done)])
        losses[:, failed] = np.nan
        return states, losses, np.asarray(finite)


def _loop(
    target: Target,
    algorithm: Algorithm,
    states: State,
    batch: Batch,
    buffer: Any,
    failed: Any,
    n: Any,
) -> Any:
    def step(carry: Any) -> Any:
        done, states, buffer, _ = carry
        new, loss, finite = jax.vmap(
            lambda state: compiled_step(target, algorithm, state, batch, n >= 0)
        )(states)
        return done + 1, new, buffer.at[done].set(loss, mode="promise_in_bounds"), finite

    done, states, buffer, finite = jax.lax.while_loop(
        lambda carry: (carry[0] < n) & jnp.all(carry[3] | failed),
        step,
        (jnp.zeros((), jnp.int32), states, buffer, jnp.ones(failed.shape, bool)),
    )
    return states, buffer, done, finite


class _OneByOne(RestartsRunner):
    """Every run has a runner of its own, and the runs take turns, a chunk each."""

    def __init__(self, target: Target, algorithm: Algorithm, runs: int) -> None:
        compiled = HostRunner(target, algorithm)
        self._runners = [
            copy.copy(compiled) for _ in range(runs)
        ]  # one's question waits while the others step
        self._alive = [True] * runs
        self.runs = runs

    def joined(self, states: Sequence[State]) -> tuple[State, ...]:
        return tuple(states)

    def one(self, states: tuple[State, ...], run: int) -> State:
        return states[run]

    def run(self, state: Any, batch: Batch, n: int) -> tuple[Any, np.ndarray, bool]:
        losses = np.full((n, len(self._runners)), np.nan)
        states = list(state)
        for i, runner in enumerate(self._runners):
            if self._alive[i]:
                states[i], own, self._alive[i] = runner.run(states[i], batch, n)
                losses[: len(own), i] = own
        finite = any(self._alive)
        return (
            tuple(states),
            losses if finite else losses[: int(np.isfinite(losses).any(axis=1).sum())],
            finite,
        )


def restarts_runner(target: Target, algorithm: Algorithm, runs: int) -> RestartsRunner:
    """The runner of several runs on a target."""
    return (_Compiled if target.traceable else _OneByOne)(target, algorithm, runs)
