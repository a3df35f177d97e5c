"""Where a run gets its data: all at once, or block by block from a stream."""

from __future__ import annotations

import abc
import sys
from dataclasses import replace

import jax
import numpy as np

from vi.algorithms.base import State
from vi.data.streams.stream import Stream
from vi.targets.base import Inputs, StreamedBlock, Target

__all__ = ["Constant", "Streamed", "Supply", "supply_for"]


class Supply(abc.ABC):
    """Gives a run the data of its steps."""

    last: Inputs
    """The inputs given last: those of a step that failed, though the supply may be closed."""

    @abc.abstractmethod
    def at(self, step: int) -> tuple[Inputs, int]:
        """The data of the steps from ``step`` on, and the first step that they are not for."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of threads; may be called twice."""


class Constant(Supply):
    """The same inputs for all steps.

    Parameters
    ----------
    inputs : Inputs
        The inputs.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.last = inputs

    def at(self, step: int) -> tuple[Inputs, int]:
        return self.last, sys.maxsize

    def close(self) -> None:
        pass


class Streamed(Supply):
    """Blocks of batches that a stream reads ahead; it is started here, and closed with the supply.

    Parameters
    ----------
    inputs : Inputs
        What is not streamed.
    stream : Stream
        The stream; its order of rows follows the run's key.
    state : State
        The state before the first step.
    target : Target
        Places a block where the evaluation reads it.
    """

    def __init__(self, inputs: Inputs, stream: Stream, state: State, target: Target) -> None:
        self.last = inputs
        self._stream = stream
        first, second = (int(word) for word in np.asarray(jax.random.key_data(state.key)))
        stream.start((first, second), int(state.step), target.place)

    def at(self, step: int) -> tuple[Inputs, int]:
        block = self._stream.block(step)
        # a number of 32 bits: the step of a state is one, and their difference must not change type
        here = StreamedBlock(np.uint32(block.first), block.arrays)
        self.last = replace(self.last, block=here)
        return self.last, block.first + block.count

    def close(self) -> None:
        self._stream.close()


def supply_for(target: Target, state: State, stream: Stream | None) -> Supply:
    """The data of a run that starts at ``state``: the target's own, or with rows of a stream."""
    inputs = target.batch()
    return Constant(inputs) if stream is None else Streamed(inputs, stream, state, target)
