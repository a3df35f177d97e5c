"""What keeps the state of a run that goes on where it survives the process."""

from __future__ import annotations

import abc

__all__ = ["Saver"]


class Saver(abc.ABC):
    """Asked by the loop between chunks, after the callbacks: it reads the run, and changes nothing.

    Every process of a run asks its own, and only the one that leads writes.
    """

    @abc.abstractmethod
    def left(self, step: int) -> int:
        """Steps until a chunk has to end, so that the state after it can be kept."""

    @abc.abstractmethod
    def look(self, step: int) -> None:
        """Keep the state after a chunk, if it is time."""

    @abc.abstractmethod
    def keep(self, step: int) -> None:
        """Keep the state now: the run ends before it was done."""
