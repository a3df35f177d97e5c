"""The best state that a run has seen, in case that it ends in a worse place."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.diagnostics.doubts import about_losses, spread

__all__ = ["WINDOW", "Best"]

WINDOW = 1000
"""Steps between two looks, counted from step 0 so that the cut of a run into chunks has no say."""

NOISE = 0.1
"""Quartile ranges by which medians of a thousand losses differ by chance: their standard error is
0.03 for a normal, and neighbouring losses depend on each other.
"""


class Best:
    """Looks at the losses of every thousand steps, and keeps the last state after the lowest.

    Parameters
    ----------
    eps : float
        Relative rounding of the run's precision.

    Attributes
    ----------
    state : State or None
        The state after the lowest losses.
    step : int
        Its step.
    lowest : tuple of float or None
        Median and distance of the quartiles of these losses.
    """

    def __init__(self, eps: float) -> None:
        self._eps = eps
        self._window: list[np.ndarray] = []
        self.state: Any = None
        self.step = 0
        self.lowest: tuple[float, float] | None = None

    @property
    def window(self) -> np.ndarray:
        """The losses since the last look."""
        return np.concatenate([np.empty(0), *self._window])

    def go_on(
        self, window: np.ndarray, state: Any, step: int, lowest: tuple[float, float] | None
    ) -> None:
        """Know what another one knew, whose run is gone on with."""
        self._window = [window] if len(window) else []
        self.state, self.step, self.lowest = state, step, lowest

    def left(self, step: int) -> int:
        """Steps until the next look."""
        return WINDOW - step % WINDOW

    def see(self, losses: np.ndarray, state: Any, step: int) -> None:
        """Take in the losses of a chunk, and the state after it."""
        self._window.append(losses)
        if step % WINDOW:
            return
        window = np.concatenate(self._window)
        self._window = []
        # a loss that cannot be is not the best one, however low
        if len(window) < WINDOW // 2 or about_losses(window, self._eps):
            return
        middle, width = float(np.median(window)), spread(window)
        if self.lowest is None or middle < self.lowest[0] + NOISE * width:
            # of equals the last: averages of iterates are the better the longer they are
            self.state, self.step = state, step
        if self.lowest is None or middle < self.lowest[0]:
            self.lowest = middle, width
