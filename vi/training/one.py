"""One run in one process, and the runner that suits a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.foundation.precision import precision
from vi.targets.base import Inputs, Target
from vi.training.compiled import CompiledRunner
from vi.training.history import History
from vi.training.host import HostRunner
from vi.training.run import Run
from vi.training.runner import Runner
from vi.training.supply import Supply

__all__ = ["OneRun", "runner_for"]


def runner_for(target: Target, algorithm: Algorithm) -> Runner:
    """The runner for a target and an algorithm; equal algorithms share their compiled code."""
    return target.compiled(
        ("runner", algorithm),
        lambda: (CompiledRunner if target.traceable else HostRunner)(target, algorithm),
    )


class OneRun(Run):
    """One run in one process.

    Parameters
    ----------
    target, algorithm
        What is evaluated, and what learns from it.
    state : State
        Where it starts.
    supply : Supply
        The data.
    history : History or None
        The trace of losses, extended in place.
    """

    def __init__(
        self,
        target: Target,
        algorithm: Algorithm,
        state: State,
        supply: Supply,
        history: History | None = None,
    ) -> None:
        runner = runner_for(target, algorithm)
        super().__init__(runner, state, supply, history, step=int(state.step), dtype=target.dtype)

    @property
    def state(self) -> State:
        state: State = self._state
        return state

    @property
    def leads(self) -> bool:
        return True

    def agree(self, seconds: float, ending: int) -> tuple[float, int]:
        return seconds, ending

    def ahead(self, steps: int, times: int) -> Iterator[State]:
        """The states that further steps would come to, one after every so many of them.

        The run stays where it is, and its data are those of its last step. Rates are those of the
        last steps too: one that was planned for this many may be any number beyond, below 0 or NaN.
        It ends before a step that is not finite.
        """
        inputs, state = self.supply.last, self._state
        with precision(self._dtype):
            after, _, _ = self._runner.run(state, inputs, 1)
        counts = _set_back(state.optimizer, after.optimizer, steps * times)
        state = state._replace(optimizer=counts)
        for _ in range(times):
            with precision(self._dtype):
                state, _, finite = self._runner.run(state, inputs, steps)
            if not finite:
                return
            yield state

    def skip(self, inputs: Inputs, most: int) -> bool:
        for count in range(1, most + 1):
            with precision(self._dtype):
                state = self._state._replace(step=self._state.step + jnp.uint32(count))
                _, _, finite = self._runner.run(state, inputs, 1)
            if finite:
                self._state = state
                self.step += count
                self.skipped += count
                if self.history is not None:
                    self.history.extend(np.full(count, np.nan))
                return True
        return False


def _set_back(now: Any, after: Any, steps: int) -> Any:
    """An optimiser's state with its counts of steps, which go on by one in each, set back."""

    def one(count: Any, next_one: Any) -> Any:
        is_count = jnp.ndim(count) == 0 and jnp.issubdtype(jnp.result_type(count), jnp.integer)
        if not is_count or int(next_one) - int(count) != 1 or int(count) < steps:
            return count
        return count - jnp.asarray(steps, count.dtype)

    return jax.tree.map(one, now, after)
