"""What all plots share: what they are made of, where they are drawn, and their colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.foundation.extras import needs

__all__ = [
    "AXES",
    "BLUE",
    "GREY",
    "LIGHT",
    "ORANGE",
    "RED",
    "approximation",
    "axes_for",
    "scale_gaps",
]

BLUE, ORANGE, RED, GREY, LIGHT = "#0072b2", "#e69f00", "#d55e00", "#555555", "#cccccc"
"""Colours that are told apart without red and green, and by their lightness (Okabe and Ito)."""

AXES = (6.4, 4.0)
"""Size of a plot in inches, where none is given to draw on."""


def approximation(given: Any, plot: str) -> Approximation:
    """An approximation, or a refusal that says what was given.

    Parameters
    ----------
    given : object
        What the user gave.
    plot : str
        The name of the plot, for the message.
    """
    if not isinstance(given, Approximation):
        raise TypeError(
            f"vi.plots.{plot} takes an approximation, what vi.fit(...) or inference.approx gives; "
            f"this is {type(given).__name__}."
        )
    return given


def axes_for(ax: Any, count: int = 1, size: tuple[float, float] = AXES) -> list[Any]:
    """So many Axes beside each other: those that were given, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, sequence of them, or None
        What the user gave.
    count : int
        How many are needed.
    size : tuple of float
        Width and height of a new figure, in inches.
    """
    pyplot = needs("matplotlib.pyplot", "Plots")
    if ax is None:
        _, grid = pyplot.subplots(1, count, figsize=size, layout="constrained", squeeze=False)
        return list(grid[0])
    several = isinstance(ax, Iterable) and not isinstance(ax, pyplot.Axes)
    given = list(ax) if several else [ax]
    if len(given) != count or not all(isinstance(one, pyplot.Axes) for one in given):
        wanted = "a matplotlib Axes" if count == 1 else f"a sequence of {count} matplotlib Axes"
        raise TypeError(f"ax must be {wanted}, or None for a new figure; this is {ax!r}.")
    return given


def scale_gaps(axes: Any, bottom: float, top: float) -> None:
    """Let a y axis be of nats below the best, logarithmic where there are more than ten of them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where the gaps are drawn.
    bottom, top : float
        The lowest end of the axis, below 0, and the highest thing on it.
    """
    above = max(1.2 * top, 0.25 * abs(bottom))
    if bottom < -10:
        axes.set_yscale("symlog", linthresh=1.0)
        above = max(1.2 * top, (-bottom) ** 0.3)  # as large a share of the decades
        powers = range(int(np.log10(-bottom)) + 1)
        ticks = [-(10.0**i) for i in powers][:: max(1, len(powers) // 4)]
        axes.set_yticks([0.0, *ticks])
        axes.set_yticklabels([f"{t:,g}" for t in (0.0, *ticks)])
    axes.set_ylim(bottom, above)
