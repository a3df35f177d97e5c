"""The seconds that a fit in stages may take: who is asked, and what ends running steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Deadline"]

LOOK_SECONDS = 0.1
"""How often running steps look at the clock: as often as the loop begins a chunk."""


@dataclass
class Deadline:
    """A time on the clock, from when it is made; without seconds it never comes.

    It is a callback too, which ends running steps. The steps between two looks at the clock are
    doubled while they take less than a tenth of a second, as the loop's chunks are; the numbers of
    a run do not depend on where its chunks end.

    Parameters
    ----------
    seconds : float or None
        By the clock on the wall.
    """

    seconds: float | None
    ended: bool = False
    """Whether it kept a stage from beginning or ended one."""
    _began: float = field(default_factory=time.perf_counter)
    _vi_every: int = 1
    _looked: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        """Seconds that are left, infinity without a limit."""
        if self.seconds is None:
            return np.inf
        return self._began + self.seconds - time.perf_counter()

    def passed(self) -> bool:
        """Whether the time is over, and what is asked for has to be left out."""
        self.ended |= self.left <= 0
        return self.ended

    def begin(self) -> None:
        """Look at every step of the steps that begin now, at first."""
        self._vi_every, self._looked = 1, time.perf_counter()

    def __call__(self, approx: Any, losses: np.ndarray, i: int) -> None:
        """End the steps if the time is over."""
        if self.passed():
            raise StopIteration(f"max_seconds={self.seconds:g} are over.")
        now = time.perf_counter()
        if now - self._looked < LOOK_SECONDS / 2:
            self._vi_every *= 2
        elif now - self._looked > 2 * LOOK_SECONDS and self._vi_every > 1:
            self._vi_every //= 2
        self._looked = now
