"""What a run is: steps that go on from a state, on data of its own, whoever takes part in them."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from vi.algorithms.base import State
from vi.foundation.precision import precision
from vi.targets.base import Inputs
from vi.training.history import History
from vi.training.runner import Runner
from vi.training.supply import Supply

__all__ = ["Run"]


class Run(abc.ABC):
    """What :func:`vi.training.train` advances; it knows of nothing else.

    A kind of run is a subclass that says how its state is read and what other processes have a
    say in: :class:`vi.training.OneRun`, :class:`vi.training.SeveralRuns` from several starts,
    :class:`vi.training.SharedRun` on several devices. A run owns its data, so that what went wrong
    in a step can be looked at before they are let go: ``run.supply.last`` are those of the step,
    and :meth:`close` comes last.

    Parameters
    ----------
    runner : Runner
        Makes the steps.
    state : State, or what the runner takes for one
        Where the run starts. It is held here and by nobody else: large models have room for few.
    supply : Supply
        The data.
    history : History or None
        The trace of losses, extended in place; ``None`` where they are not kept.
    step : int
        Steps that the state has behind it.
    dtype : numpy.dtype
        The precision.
    """

    def __init__(
        self,
        runner: Runner,
        state: Any,
        supply: Supply,
        history: History | None,
        *,
        step: int,
        dtype: np.dtype,
    ) -> None:
        self._runner = runner
        self._state = state
        self._dtype = dtype
        self.supply = supply
        self.history = history
        self.first = self.step = step
        self.skipped = 0

    @property
    def losses(self) -> np.ndarray | None:
        """The losses of all steps so far; ``None`` where they are not kept."""
        return None if self.history is None else self.history.values

    @property
    def own_losses(self) -> np.ndarray | None:
        """Those of the present stage and algorithm; ``None`` where they are not kept."""
        return None if self.history is None else self.history.own

    def warm_up(self, inputs: Inputs) -> None:
        """Do all that a chunk does but for steps: compile at the first time, copy the state."""
        with precision(self._dtype):
            self._runner.run(self._state, inputs, 0)

    def advance(self, inputs: Inputs, n: int) -> tuple[np.ndarray, bool]:
        """Do ``n`` steps, or as many as are good.

        Parameters
        ----------
        inputs : Inputs
            What :attr:`supply` gave for these steps.
        n : int
            How many.

        Returns
        -------
        losses : numpy.ndarray
            Those of the steps done, ``(steps,)``, or ``(steps, runs)`` of several runs.
        finite : bool
            False if the next step gave a loss or a parameter that is not finite.
        """
        with precision(self._dtype):
            self._state, losses, finite = self._runner.run(self._state, inputs, n)
        self.step += len(losses)
        if self.history is not None:
            self.history.extend(losses)
        return losses, finite

    def skip(self, inputs: Inputs, most: int) -> bool:
        """Leave out the next steps, whose draws are not finite, if one of those after them is.

        Nothing changes but the count of steps, and so the draws; left-out steps have a loss of NaN.

        Parameters
        ----------
        inputs : Inputs
            What :attr:`supply` gave for these steps.
        most : int
            The most steps that are left out.
        """
        return False

    def close(self) -> None:
        """Let go of the data: the thread that reads a stream ends."""
        self.supply.close()

    @property
    @abc.abstractmethod
    def state(self) -> State:
        """The state that leads, in arrays that are read without other devices or processes."""

    @property
    @abc.abstractmethod
    def leads(self) -> bool:
        """Whether this process is the one that shows progress and logs."""

    @abc.abstractmethod
    def agree(self, seconds: float, ending: int) -> tuple[float, int]:
        """What all processes of the run go by, where each has measured and met its own.

        Chunk lengths follow a clock, and processes whose chunks differ would wait for each other
        for ever; so would those of which only some have ended. Every process must ask at the same
        places, and all get the largest numbers.
        """
