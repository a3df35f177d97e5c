"""What watches a run between chunks and changes nothing: the best state, and what keeps states."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from vi.training.best import Best
from vi.training.run import Run
from vi.training.saver import Saver

__all__ = ["Watch"]


@dataclass(frozen=True)
class Watch:
    """What the loop asks between chunks.

    Parameters
    ----------
    best : Best or None
        What looks for the best state.
    saver : Saver or None
        What keeps states where they survive the process.
    """

    best: Best | None = None
    saver: Saver | None = None

    def left(self, step: int) -> int:
        """Steps until a chunk has to end."""
        looks = [each.left(step) for each in (self.best, self.saver) if each is not None]
        return min([sys.maxsize, *looks])

    def see(self, losses: np.ndarray, run: Run) -> None:
        """Take in the losses of a chunk, and the state after it, before anything else."""
        if self.best is not None:
            self.best.see(losses, run.state, run.step)

    def after(self, step: int, *, interrupted: bool) -> None:
        """Keep the state, after the callbacks: where it is time, and where the run ends early."""
        if self.saver is not None:
            (self.saver.keep if interrupted else self.saver.look)(step)
