"""Which coordinates of a model interact, as a picture of the pattern that was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from vi.foundation.arguments import instance
from vi.foundation.extras import needs
from vi.plots.drawing import axes_for, dress, palette
from vi.search.structure import Structure

__all__ = ["plot_structure"]

CELLS = 240
"""Cells along an edge, about: of more coordinates several share one."""

MANY, SHARE = 60, 6
"""Cells of the others from which on globals are drawn wide: their names would not fit beside them.
They then take about a sixth of an edge."""

LEAST_APART = 0.04
"""Share of an edge below which two names are written as one."""

DIAGONAL, INNER, OUTER = 1, 2, 3
"""What a cell shows, 0 being nothing."""

SIZE = (5.2, 4.8)
"""Inches of a new figure: what is drawn is a square, with names beside it."""


def plot_structure(structure: Structure, *, ax: Any = None) -> Any:
    """Draw where the Hessian of log p has entries, the globals first.

    Orange is what has to do with globals, blue the interactions of the others, grey the diagonal.
    Globals are drawn wider than others where there are many others, and these are in the order of
    the vector; a cell of several coordinates is filled if any two of them interact.

    Parameters
    ----------
    structure : vi.search.structure.Structure
        What :func:`vi.structure` has found.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    TypeError
        If this is no structure.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, numpy as np, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-1.0, 1.0, 20))
    >>> vi.plots.plot_structure(vi.structure(model)).get_title()
    'groups: 20 of 1 given 1 global'
    """
    instance("structure", structure, Structure, "what vi.structure(model) returns")
    (axes,) = axes_for(ax, size=SIZE)
    place, width = _cells(structure)
    kinds = _kinds(structure, place, width)
    to_rgb = needs("matplotlib.colors", "Plots").to_rgb
    colors = palette(axes)
    shown = (colors.paper, colors.faint, colors.blue, colors.red)
    axes.imshow(np.array([to_rgb(color) for color in shown])[kinds], interpolation="nearest")
    g = len(structure.globals)
    if g:
        for line in (axes.axhline, axes.axvline):
            line(g * width.max() - 0.5, color=colors.text, linewidth=0.6)
    _name(axes, structure, place + 0.5 * (width - 1))
    axes.set_xticks([])
    axes.set_title(_in_words(structure))
    dress(axes, colors)
    return axes


def _cells(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """The first cell of each coordinate, and how many it has, both ``(D,)``."""
    dim, g = structure.layout.dim, len(structure.globals)
    ends = np.array(structure.globals, int)
    others = np.setdiff1d(np.arange(dim), ends)
    each = max(1, -(-len(others) // CELLS))
    cells = -(-len(others) // each)
    wide = max(1, round(cells / (SHARE * g))) if g and cells > MANY else 1
    place, width = np.empty(dim, int), np.ones(dim, int)
    place[ends], width[ends] = wide * np.arange(g), wide
    place[others] = wide * g + np.arange(len(others)) // each
    return place, width


def _kinds(structure: Structure, place: np.ndarray, width: np.ndarray) -> np.ndarray:
    """What each cell shows: nothing, the diagonal, an interaction, or one with a global."""
    side = int(np.max(place + width))
    kinds = np.zeros((side, side), int)
    own = sp.coo_array(structure.pattern)
    kinds[place[own.row], place[own.col]] = INNER
    ends = np.array(structure.globals, int)
    for i in ends:
        for j in np.unique(structure.pattern[[i]].indices):
            both = slice(place[i], place[i] + width[i]), slice(place[j], place[j] + width[j])
            kinds[both] = kinds[both[::-1]] = OUTER
    for first, count in sorted(set(zip(place.tolist(), width.tolist(), strict=True))):
        block = slice(first, first + count)
        kinds[block, block] = np.where(kinds[block, block] == INNER, INNER, DIAGONAL)
    return kinds


def _name(axes: Any, structure: Structure, middle: np.ndarray) -> None:
    """Names of the variables beside their cells, of one that is partly global twice."""
    own = np.isin(np.arange(structure.layout.dim), structure.globals)
    found: list[tuple[float, str]] = []
    for slot in structure.layout:
        parts = [part for part in (own[slot.slice], ~own[slot.slice]) if part.any()]
        found += [(float(middle[slot.slice][part].mean()), slot.name) for part in parts]
    apart = LEAST_APART * (middle.max() + 1)
    ticks: list[list[float]] = []
    names: list[str] = []
    for tick, name in sorted(found):
        if ticks and tick - ticks[-1][-1] < apart:
            ticks[-1].append(tick)
            names[-1] += f", {name}"
        else:
            ticks.append([tick])
            names.append(name)
    axes.set_yticks([float(np.mean(each)) for each in ticks], names, parse_math=False)


def _in_words(structure: Structure) -> str:
    g = len(structure.globals)
    given = f" given {g:,} global{'s' if g > 1 else ''}" if g else ""
    what = f": {structure.groups:,} of {structure.size:,}"
    return structure.kind + (what if structure.kind in ("groups", "chain") else "") + given
