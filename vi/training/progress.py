"""The progress bar: steps a second, average loss, time left; silent where nobody watches."""

from __future__ import annotations

import importlib
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import Any, Self

import numpy as np
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vi.diagnostics.losses import average_loss

__all__ = ["ProgressBar", "in_one_place"]

REFRESH = 0.1

BAR, NARROW = 16, 12
"""Characters of the bar itself, and in a notebook, whose cells may be narrow."""

WIDTH = 100
"""Characters of a line in a notebook."""

ONE_LINE = (
    "margin:0;padding:0 0 0 8px;font-size:93%;background:none;"
    "white-space:pre;overflow:hidden;text-overflow:ellipsis"
)
"""Of CSS: as JupyterLab shows text that is printed, but not broken."""


@dataclass
class Place:
    """Where the bars of one stage of a fit are drawn, one after the other.

    Parameters
    ----------
    stage : str
        What is going on.
    cell : Cell or None
        The output of a notebook that the last bar had.
    last : Progress or None
        The last bar of a terminal.
    """

    stage: str
    cell: Cell | None = None
    last: Progress | None = None


_place: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def in_one_place(stage: str) -> Iterator[None]:
    """Draw the bars within as one, which says the stage: the last one is what remains.

    Parameters
    ----------
    stage : str
        What is shown before the labels of the bars.
    """
    place = Place(stage)
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)
        if place.last is not None:
            place.last.console.print(place.last.get_renderable())


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
        self._place = place = _place.get()
        if place is not None:
            label = f"{place.stage}, {label}"
        self._cell = _cell_for(place) if console.is_jupyter else None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=BAR) if self._cell is None else PlainBar(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            auto_refresh=False,
            transient=place is not None,
            disable=not (enabled and watched),
        )
        self._task = self._progress.add_task(label, total=total, rate="compiling", loss="")
        self._started = 0.0
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if self._cell is None:
            self._progress.start()
        self._draw()
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
        self._draw()

    def _draw(self) -> None:
        if self._progress.disable:
            return
        if self._cell is None:
            self._progress.refresh()
        else:
            self._cell.draw(self._progress.get_renderable())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task = self._progress.tasks[self._task]
        if not task.finished:  # what was left to do will not be done: seconds that it took
            task.finished_time = task.elapsed
            self._draw()
        if self._cell is None:
            self._progress.stop()
            if self._place is not None and not self._progress.disable:
                self._place.last = self._progress


def _cell_for(place: Place | None) -> Cell:
    """An output of its own, or that of the bars before."""
    if place is None:
        return Cell()
    place.cell = place.cell or Cell()
    return place.cell


class PlainBar(ProgressColumn):
    """A bar that is told from what is left without colours."""

    def render(self, task: Task) -> Text:
        """The share that is done in thick strokes, the rest in thin ones."""
        done = int(NARROW * task.completed / task.total) if task.total else NARROW
        return Text("━" * done + "─" * (NARROW - done))


class Cell:
    """One output of a notebook's cell, drawn anew in its place.

    rich draws by a widget there, which needs ipywidgets and is gone from a notebook that was saved
    and opened again. Text that replaces itself needs nothing, and what is saved is its last state.
    Notebooks break lines of plain text within words where they are narrow; as HTML it stays one
    line.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def draw(self, renderable: RenderableType) -> None:
        """Show something in place of what was shown before."""
        console = Console(
            file=io.StringIO(), width=WIDTH, force_jupyter=False, force_terminal=False
        )
        with console.capture() as drawn:
            console.print(renderable)
        line = drawn.get().rstrip()
        data = {"text/plain": line, "text/html": f'<pre style="{ONE_LINE}">{escape(line)}</pre>'}
        if self._handle is None:
            display = importlib.import_module("IPython.display").display
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
