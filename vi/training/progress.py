"""The progress bar: steps a second, average loss, time left; silent where nobody watches."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vi.diagnostics.losses import average_loss

__all__ = ["ProgressBar"]

REFRESH = 0.1


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
            self._task,
            completed=done,
            rate=f"{rate:,.0f} steps/s",
            loss=f"loss {average_loss(losses):,.5g}",
        )
        self._progress.refresh()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
