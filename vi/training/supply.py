"""Where a run gets its data: all at once, or block by block from a stream."""

from __future__ import annotations

import abc
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import numpy as np

from vi.algorithms.base import State
from vi.data.streams.stream import Stream
from vi.targets.base import Inputs, StreamedBlock, Target

__all__ = ["Check", "Present", "Streamed", "Supply", "supply_for"]

type Check = Callable[[Sequence[str]], None]
"""Refuses data, by name, that have changed while a run goes on."""


class Supply(abc.ABC):
    """Gives a run the data of its steps."""

    last: Inputs
    """The inputs given last: those of a step that failed, though the supply may be closed."""

    @abc.abstractmethod
    def at(self, step: int) -> tuple[Inputs, int]:
        """The data of the steps from ``step`` on, and the first step that they are not for.

        Asked before every chunk; where nothing has changed it is the same object.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of threads; may be called twice."""


class Present(Supply):
    """The target's own data, as they are: a change between two chunks counts from the next one on.

    Parameters
    ----------
    target : Target
        Whose data.
    check : callable
        Is given the names of data that have changed in a way that may not do, and refuses them.
    """

    def __init__(self, target: Target, check: Check) -> None:
        self._target, self._check = target, check
        self._watch = target.watch()  # before the data are read: what changes meanwhile is seen
        self.last = target.batch()

    def at(self, step: int) -> tuple[Inputs, int]:
        if self._watch is not None and self._watch.changed():
            if doubtful := self._watch.doubtful():
                self._check([variable.name or "a shared variable" for variable in doubtful])
            if stale := self._target.stale():
                raise ValueError(
                    f"{', '.join(stale)} changed while the fit went on, and the compiled code was "
                    "made for the value before. Change it between two fits: the next one, or "
                    "refine(), takes it."
                )
            self._watch.accept()
            self.last = replace(self._target.batch(), block=self.last.block)
        return self.last, sys.maxsize

    def close(self) -> None:
        pass


class Streamed(Present):
    """Blocks of batches that a stream reads ahead; it is started here, and closed with the supply.

    Parameters
    ----------
    target : Target
        Places a block where the evaluation reads it; what is not streamed are its present data.
    check : callable
        As for :class:`Present`.
    stream : Stream
        The stream; its order of rows follows the run's key.
    state : State
        The state before the first step.
    """

    def __init__(self, target: Target, check: Check, stream: Stream, state: State) -> None:
        super().__init__(target, check)
        self._stream = stream
        self._end = int(state.step)
        first, second = (int(word) for word in np.asarray(jax.random.key_data(state.key)))
        stream.start((first, second), int(state.step), target.place)

    def at(self, step: int) -> tuple[Inputs, int]:
        super().at(step)
        if step >= self._end:
            block = self._stream.block(step)
            # 32 bits: the step of a state has them, and their difference must not change type
            here = StreamedBlock(np.uint32(block.first), block.arrays)
            self.last = replace(self.last, block=here)
            self._end = block.first + block.count
        return self.last, self._end

    def close(self) -> None:
        self._stream.close()


def supply_for(target: Target, state: State, stream: Stream | None, check: Check) -> Supply:
    """The data of a run that starts at ``state``: the target's own, or with rows of a stream."""
    if stream is None:
        return Present(target, check)
    return Streamed(target, check, stream, state)
