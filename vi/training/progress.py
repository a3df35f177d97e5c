"""The progress bar: steps a second, average loss, time left; silent where nobody watches."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ProgressBar", "average_loss", "recent", "still_falling"]

WINDOW = 1000
REFRESH = 0.1


def recent(losses: np.ndarray) -> np.ndarray:
    """The last quarter's losses, 1,000 at most."""
    return losses[-max(1, min(WINDOW, len(losses) // 4)) :]


def average_loss(losses: np.ndarray) -> float:
    """Mean of the last quarter's losses (1,000 at most), NaN if there are none."""
    return float(np.mean(recent(losses))) if len(losses) else float("nan")


def still_falling(losses: np.ndarray) -> bool:
    """Whether the last quarter's losses (1,000 at most) are clearly below those before them.

    Clearly: by more than 0.1 and by more than 5 standard errors of the difference.
    """
    window = min(WINDOW, len(losses) // 4)
    if window < 20:
        return False
    last, before = losses[-window:], losses[-2 * window : -window]
    error = float(np.sqrt((np.var(last) + np.var(before)) / window))
    return float(np.mean(before) - np.mean(last)) > max(0.1, 5 * error)


class ProgressBar:
    """A rich progress bar over ``total`` steps, drawn only on a terminal or in a notebook.

    Parameters
    ----------
    total : int
        Steps of the run.
    label : str
        What is shown before the bar.
    enabled : bool
        False draws nothing.
    """

    def __init__(self, total: int, label: str, enabled: bool = True) -> None:
        console = Console()
        watched = console.is_terminal or console.is_jupyter
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            auto_refresh=False,
            disable=not (enabled and watched),
        )
        self._task = self._progress.add_task(label, total=total, rate="compiling", loss="")
        self._started = 0.0
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        self._progress.refresh()
        return self

    def begin(self) -> None:
        """Start the clock: compilation is over."""
        self._started = self._drawn = time.perf_counter()

    def update(self, done: int, losses: np.ndarray, final: bool = False) -> None:
        """Show that ``done`` steps are done; drawn at most ten times a second."""
        if self._progress.disable:
            return
        now = time.perf_counter()
        if now - self._drawn < REFRESH and not final:
            return
        self._drawn = now
        rate = done / max(now - self._started, 1e-9)
        self._progress.update(
            self._task, completed=done, rate=f"{rate:,.0f} steps/s", loss=f"loss {average_loss(losses):,.5g}"
        )
        self._progress.refresh()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
