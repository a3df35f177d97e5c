"""Several runs from different starts at once, of which the one with the lowest losses leads."""

from __future__ import annotations

import abc
import copy
from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.foundation.compiling import called_afresh
from vi.foundation.precision import precision
from vi.targets.base import Inputs, Target
from vi.training.compiled import compiled_step
from vi.training.host import HostRunner
from vi.training.run import Run
from vi.training.runner import BUFFER, Runner
from vi.training.supply import Supply
from vi.training.traces import Traces

__all__ = ["SeveralRuns", "at_one_step"]


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

    @property
    def failed(self) -> tuple[int, ...]:
        """Numbers of the runs that stay at their last good states."""
        return self._runner.failed

    def go_on(self, states: Sequence[State], failed: Collection[int], losses: np.ndarray) -> None:
        """Go on with other runs, from where these were.

        Parameters
        ----------
        states : sequence of State
            As :meth:`state_of` gave them.
        failed : collection of int
            The runs that have failed.
        losses : numpy.ndarray
            Those of all runs, ``(steps, runs)``.
        """
        with precision(self._dtype):
            self._state = self._runner.gone_on(states, failed)
        self.step = max(int(state.step) for state in states)
        self.traces.extend(losses)


def at_one_step(states: Sequence[State]) -> list[State]:
    """The states with the step of the one that has come farthest.

    Nobody looks at a run that has failed; it goes through the same steps.
    """
    steps = {int(state.step): state.step for state in states}
    return [state._replace(step=steps[max(steps)]) for state in states]


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

    @property
    @abc.abstractmethod
    def failed(self) -> tuple[int, ...]:
        """The runs that have failed."""

    @abc.abstractmethod
    def gone_on(self, states: Sequence[State], failed: Collection[int]) -> Any:
        """The states joined, of runs of which some have failed before."""


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

    @property
    def failed(self) -> tuple[int, ...]:
        return tuple(sorted(self._failed))

    def gone_on(self, states: Sequence[State], failed: Collection[int]) -> State:
        self._failed = {run: states[run] for run in failed}
        return self.joined(at_one_step(states))

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

    @property
    def failed(self) -> tuple[int, ...]:
        return tuple(run for run, alive in enumerate(self._alive) if not alive)

    def gone_on(self, states: Sequence[State], failed: Collection[int]) -> tuple[State, ...]:
        self._alive = [run not in failed for run in range(len(states))]
        return tuple(states)

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
