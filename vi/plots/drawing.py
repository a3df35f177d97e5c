"""What all plots share: what they are made of, where they are drawn, and their colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.foundation.extras import needs

__all__ = ["AXES", "Palette", "approximation", "axes_for", "dress", "palette", "scale_gaps"]

AXES = (6.4, 4.0)
"""Size of a plot in inches, where none is given to draw on."""


DARK = 0.18
"""Relative luminance of a background below which white is read more easily than black."""

ON_LIGHT = ("#0072b2", "#d55e00", "#ba5a80")
ON_DARK = ("#56b4e9", "#f0803c", "#e6a0b4")
"""Blue, red and mauve that are told apart without red and green too (after Okabe and Ito)."""

READ, SEEN = 0.7, 0.3
"""How far from the background towards black or white are texts, and what stands behind."""


@dataclass(frozen=True)
class Palette:
    """Colours that can be seen on a background.

    Parameters
    ----------
    blue, red, mauve : str
        What is told apart.
    text : str
        Words within a plot, and what needs no colour.
    faint : str
        What stands behind: single draws, bands, grids.
    paper : str
        The background itself.
    """

    blue: str
    red: str
    mauve: str
    text: str
    faint: str
    paper: str


def palette(axes: Any = None) -> Palette:
    """The colours for some Axes, or for those that a new figure would have.

    Light or dark is what is drawn on, not what a style is called: with ``dark_background``, and on
    dark Axes within a light notebook.

    Parameters
    ----------
    axes : matplotlib.axes.Axes, optional
        Where they are drawn.
    """
    colors, mpl = needs("matplotlib.colors", "Plots"), needs("matplotlib", "Plots")
    layers = (
        [mpl.rcParams["figure.facecolor"], mpl.rcParams["axes.facecolor"]]
        if axes is None
        else [axes.figure.get_facecolor(), axes.get_facecolor()]
    )
    words = np.array(colors.to_rgb(mpl.rcParams["text.color"]))
    # a page that is transparent is as dark as the words on it are light
    paper = np.zeros(3) if _luminance(words) > DARK else np.ones(3)
    for layer in layers:
        *color, alpha = colors.to_rgba(layer)
        paper = alpha * np.array(color) + (1 - alpha) * paper
    dark = _luminance(paper) < DARK
    ink = np.ones(3) if dark else np.zeros(3)
    mixed = [colors.to_hex(paper + share * (ink - paper)) for share in (READ, SEEN, 0.0)]
    return Palette(*(ON_DARK if dark else ON_LIGHT), *mixed)


def _luminance(color: np.ndarray) -> float:
    """Relative luminance of sRGB, from 0 to 1."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def dress(axes: Any, colors: Palette, **legend: Any) -> None:
    """What all plots look like: two edges, a title as large as its labels, a legend without frame.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn, with its title.
    colors : Palette
        Its colours.
    **legend
        Of ``Axes.legend``; nothing for no legend.
    """
    axes.spines[["top", "right"]].set_visible(False)
    texts = [
        axes.set_title(axes.get_title(loc=loc), loc=loc, fontsize="medium")
        for loc in ("left", "center", "right")
    ]
    axes.xaxis.label.set_fontsize("medium")
    axes.yaxis.label.set_fontsize("medium")
    texts += [axes.xaxis.label, axes.yaxis.label]
    if legend:
        options = {"fontsize": "small", "facecolor": colors.paper, "edgecolor": "none"}
        own = axes.legend(**options | {"framealpha": 0.8} | legend)
        texts += own.get_texts()
    as_written(texts)


def as_written(texts: Iterable[Any]) -> None:
    """Let texts stand as they are: a dollar in the name of a variable begins no formula.

    Parameters
    ----------
    texts : iterable of matplotlib.text.Text
        Texts in which there are names of the user's.
    """
    for text in texts:
        text.set_parse_math(False)


def entry(label: str) -> str:
    """A label as the legend shows it: one that begins with an underscore is left out there."""
    return f" {label}" if label.startswith("_") else label


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


def axes_for(
    ax: Any, count: int = 1, size: tuple[float, float] = AXES, columns: int | None = None
) -> list[Any]:
    """So many Axes beside each other: those that were given, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, sequence of them, or None
        What the user gave.
    count : int
        How many are needed.
    size : tuple of float
        Width and height of a new figure, in inches.
    columns : int, optional
        The largest number of them in a row of a new figure; all by default.
    """
    pyplot = needs("matplotlib.pyplot", "Plots")
    if ax is None:
        across = min(count, columns or count)
        options = {"figsize": size, "layout": "constrained", "squeeze": False}
        _, grid = pyplot.subplots(-(-count // across), across, **options)
        for left_over in grid.flat[count:]:
            left_over.remove()
        return list(grid.flat[:count])
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
