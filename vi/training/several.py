"""Several runs from different starts at once, of which the one with the lowest losses leads."""

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
from vi.foundation.compiling import called_afresh
from vi.foundation.precision import precision
from vi.targets.base import Inputs, Target
from vi.training.compiled import compiled_step
from vi.training.history import History
from vi.training.host import HostRunner
from vi.training.run import Run
from vi.training.runner import BUFFER, Runner
from vi.training.supply import Supply

__all__ = ["SeveralRuns", "Traces"]


class Traces(History):
    """The losses of several runs; as one trace, those of the run whose recent losses are lowest.

    Runs are compared by their losses rather than by a new estimate of the ELBO: every objective
    and every kind of data has losses, and an estimate would need all rows.

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
        for trace, of_run in zip(self._traces, losses.T, strict=True):
            trace.extend(of_run)
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


class SeveralRuns(Run):
    """Several runs of one algorithm on one target, advanced together.

    Parameters
    ----------
    target, algorithm
        What is evaluated, and what learns from it.
    states : sequence of State
        Where the runs start, all at the same step.
    supply : Supply
        The data.
    """

    _runner: SeveralRunner

    def __init__(
        self, target: Target, algorithm: Algorithm, states: Sequence[State], supply: Supply
    ) -> None:
        # made anew for every run: a runner remembers which of its runs have failed
        make = _Compiled if target.traceable else _OneByOne
        runner: SeveralRunner = make(target, algorithm, len(states))
        self.count = len(states)
        self.traces = Traces(len(states))
        with precision(target.dtype):
            joined = runner.joined(states)
        super().__init__(
            runner, joined, supply, self.traces, step=int(states[0].step), dtype=target.dtype
        )

    @property
    def state(self) -> State:
        return self.state_of(self.traces.leader)

    @property
    def leads(self) -> bool:
        return True

    def agree(self, seconds: float, ending: int) -> tuple[float, int]:
        return seconds, ending

    def state_of(self, run: int) -> State:
        """The state of one run; where it has failed, the last good one."""
        with precision(self._dtype):
            return self._runner.one(self._state, run)


class SeveralRunner(Runner):
    """Advances several states together; one that fails stays at its last good state.

    Losses are ``(steps, runs)``; the chunk is not finite once no run is.
    """

    @abc.abstractmethod
    def joined(self, states: Sequence[State]) -> Any:
        """The states as :meth:`run` takes them."""

    @abc.abstractmethod
    def one(self, states: Any, run: int) -> State:
        """The state of one run."""


class _Compiled(SeveralRunner):
    """The runs are one batched state in one compiled loop, which ends where a run fails.

    The state of that run before the failing step is then set aside, and the loop goes on without
    looking at it. (To select the old or the new state of each run in every step would cost a kernel
    an array.)
    """

    def __init__(self, target: Target, algorithm: Algorithm, runs: int) -> None:
        self._loop = jax.jit(lambda *arguments: _loop(target, algorithm, *arguments))
        self._dtype, self._runs = target.dtype, runs
        self._failed: dict[int, State] = {}

    def joined(self, states: Sequence[State]) -> State:
        joined: State = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return joined

    def one(self, states: State, run: int) -> State:
        state: State = self._failed.get(run) or jax.tree.map(lambda leaf: leaf[run], states)
        return state

    def run(self, state: Any, inputs: Inputs, n: int) -> tuple[Any, np.ndarray, bool]:
        new, losses, finite = self._advance(state, inputs, min(n, BUFFER))
        failing = [run for run in range(self._runs) if not finite[run] and run not in self._failed]
        if failing:  # as in CompiledRunner: one step less gives the last good states
            new, losses, _ = self._advance(state, inputs, len(losses) - 1)
            self._failed |= {run: self.one(new, run) for run in failing}
        return new, losses, len(self._failed) < self._runs

    def _advance(
        self, states: State, inputs: Inputs, n: int
    ) -> tuple[State, np.ndarray, np.ndarray]:
        """States, losses ``(steps, runs)``, and which runs were finite in the last step."""
        failed = np.isin(np.arange(self._runs), list(self._failed))
        buffer = np.zeros((BUFFER, self._runs), self._dtype)
        states, buffer, done, finite = called_afresh(
            self._loop, states, inputs, buffer, failed, np.int32(n)
        )
        losses = np.array(np.asarray(buffer)[: int(done)])
        losses[:, failed] = np.nan
        return states, losses, np.asarray(finite)


def _loop(
    target: Target,
    algorithm: Algorithm,
    states: State,
    inputs: Inputs,
    buffer: Any,
    failed: Any,
    n: Any,
) -> Any:
    """Up to ``n`` steps of all runs as one traceable call, to the first in which a run fails.

    Parameters
    ----------
    target, algorithm
        What is evaluated, and what learns from it.
    states : State
        Each leaf with a leading axis of runs.
    inputs : Inputs
        The data; runs take different rows, by their keys.
    buffer : array
        ``(BUFFER, runs)``; losses are written to its beginning.
    failed : array
        Runs that are not looked at, ``(runs,)``.
    n : scalar
        Steps.

    Returns
    -------
    tuple
        States, buffer, steps done, and which runs were finite in the last one.
    """

    def step(carry: Any) -> Any:
        done, states, buffer, _ = carry
        new, loss = jax.vmap(lambda state: compiled_step(target, algorithm, state, inputs, n >= 0))(
            states
        )
        buffer = buffer.at[done].set(loss, mode="promise_in_bounds")
        return done + 1, new, buffer, jnp.isfinite(loss)

    done, states, buffer, finite = jax.lax.while_loop(
        lambda carry: (carry[0] < n) & jnp.all(carry[3] | failed),
        step,
        (jnp.zeros((), jnp.int32), states, buffer, jnp.ones(failed.shape, bool)),
    )
    return states, buffer, done, finite


class _OneByOne(SeveralRunner):
    """Every run has a runner of its own, and the runs take turns, a chunk each."""

    def __init__(self, target: Target, algorithm: Algorithm, runs: int) -> None:
        compiled = HostRunner(target, algorithm)
        # copies share the compiled code, and each keeps its question while the others step
        self._runners = [copy.copy(compiled) for _ in range(runs)]
        self._alive = [True] * runs

    def joined(self, states: Sequence[State]) -> tuple[State, ...]:
        return tuple(states)

    def one(self, states: tuple[State, ...], run: int) -> State:
        return states[run]

    def run(self, state: Any, inputs: Inputs, n: int) -> tuple[Any, np.ndarray, bool]:
        losses = np.full((n, len(self._runners)), np.nan)
        states = list(state)
        for i, runner in enumerate(self._runners):
            if self._alive[i]:
                states[i], of_run, self._alive[i] = runner.run(states[i], inputs, n)
                losses[: len(of_run), i] = of_run
        if any(self._alive):
            return tuple(states), losses, True
        done = int(np.isfinite(losses).any(axis=1).sum())  # steps that some run has survived
        return tuple(states), losses[:done], False
