"""How far weights and chains move means and standard deviations: the verdict as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.evidence import SMALL
from vi.diagnostics.importance import RELIABLE
from vi.foundation.numbers import check_count
from vi.plots.drawing import axes_for, dress, palette

__all__ = ["shifts", "worst"]

SOURCES = {"weights": ("o", "blue"), "chains": ("D", "red")}
"""What moves q, in the table's words, with its marker and colour."""

LINEAR = 2.0
"""Shifts up to which axes are linear; beyond, they are logarithmic."""

MOST_TICKS = 3
"""Ticks on either side of 0."""

LINE, REST = 0.26, 1.3
"""Height of a coordinate's line and of what is above and below all, in inches."""


def shifts(diagnosis: Diagnosis | Approximation, most: int = 20, *, ax: Any = None) -> Any:
    """Draw how far q is from the posterior, coordinate by coordinate, the worst first.

    Left, how far importance weights and short chains move the means, in standard deviations of q;
    right, the standard deviations, as logarithms of ratios. What lies within the grey band passes.
    Hollow markers are of weights that cannot be relied on.

    Parameters
    ----------
    diagnosis : vi.diagnostics.Diagnosis or vi.Approximation
        What ``approx.diagnose()`` gives, or an approximation that has a verdict, as ``"auto"``
        makes them.
    most : int
        The largest number of coordinates.
    ax : sequence of two matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        The two that were drawn on; the title has the verdict.

    Raises
    ------
    TypeError
        If this is neither.
    ValueError
        If there is no verdict yet, or neither weights nor chains were looked at.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> found = vi.fit(method="laplace", model=model, random_seed=1).diagnose()
    >>> [axes.get_xlabel() for axes in vi.plots.shifts(found)]
    ['shift of the mean, in sds of q', 'log ratio of sds']
    """
    if isinstance(diagnosis, Approximation):
        if diagnosis.diagnosis is None:
            raise ValueError(
                "This approximation has no verdict yet: give what approx.diagnose() makes."
            )
        diagnosis = diagnosis.diagnosis
    if not isinstance(diagnosis, Diagnosis):
        raise TypeError(
            "vi.plots.shifts takes a diagnosis, what approx.diagnose() gives; this is "
            f"{type(diagnosis).__name__}."
        )
    check_count("most", most)
    table = diagnosis.table
    sources = [kind for kind in SOURCES if f"{kind}_mean" in table]
    if not sources:
        raise ValueError(
            "Neither weights nor chains have looked at this fit: "
            f"{'; '.join(diagnosis.skipped) or 'nothing was measured'}."
        )
    chosen = worst(diagnosis, most)
    labels = [str(label) for label in table["unconstrained"].to_numpy()[chosen]]
    left, right = axes_for(ax, 2, (8.0, REST + LINE * len(chosen)))
    colors = palette(left)
    places = np.arange(len(chosen))
    for axes, what in ((left, "mean"), (right, "sd")):
        axes.axvspan(-SMALL, SMALL, color=colors.faint, alpha=0.5, linewidth=0, zorder=0)
        axes.axvline(0.0, color=colors.text, linewidth=0.8, zorder=1)
        largest = SMALL
        for kind in sources:
            marker, color = SOURCES[kind][0], getattr(colors, SOURCES[kind][1])
            values = table[f"{kind}_{what}"].to_numpy()[chosen]
            reliable = kind != "weights" or diagnosis.pareto_k <= RELIABLE
            axes.plot(
                values,
                places,
                linestyle="none",
                marker=marker,
                color=color,
                markerfacecolor=color if reliable else colors.paper,
                label=kind if reliable else f"{kind} (k = {diagnosis.pareto_k:.2g})",
                clip_on=False,
                zorder=3,
            )
            largest = max(largest, float(np.abs(values[np.isfinite(values)]).max(initial=0.0)))
        _scale(axes, largest)
    left.set(xlabel="shift of the mean, in sds of q")
    right.set(xlabel="log ratio of sds")
    for axes in (left, right):
        axes.set(ylim=(len(chosen) - 0.5, -0.5), yticks=places)
        axes.grid(axis="y", color=colors.faint, linewidth=0.6)
        axes.set_axisbelow(True)
    left.set_yticklabels(labels, parse_math=False)
    right.set_yticklabels([])
    count = len(table["unconstrained"])
    shown = "" if len(chosen) == count else f", the worst {len(chosen)} of {count:,}"
    left.set_title(f"{diagnosis.verdict}{shown}", loc="left")
    dress(left, colors)
    above = {"bbox_to_anchor": (1.0, 1.0), "ncols": len(sources)}
    dress(right, colors, loc="lower right", **above)
    return np.array([left, right])


def worst(diagnosis: Diagnosis, most: int) -> np.ndarray:
    """Numbers of the coordinates that are moved the furthest, ``(at most `most`,)``."""
    table = diagnosis.table
    moved = [
        np.abs(table[f"{kind}_{what}"].to_numpy())
        for kind in SOURCES
        for what in ("mean", "sd")
        if f"{kind}_{what}" in table
    ]
    sizes = np.max(moved, axis=0)
    sizes = np.where(np.isnan(sizes), np.inf, sizes)
    return np.argsort(-sizes, kind="stable")[:most]


def _scale(axes: Any, largest: float) -> None:
    """An axis that is symmetric about 0, and logarithmic far out if it goes far out."""
    if largest <= LINEAR:
        axes.set_xlim(-1.15 * largest, 1.15 * largest)
        return
    axes.set_xscale("symlog", linthresh=1.0)
    end = 2 * largest
    axes.set_xlim(-end, end)
    ticks = [t for i in range(int(np.log10(largest)) + 1) for t in (10.0**i, 3 * 10.0**i)]
    ticks = [t for t in ticks if t <= 1.5 * largest]
    ticks = ticks if len(ticks) <= MOST_TICKS else ticks[:: -(-len(ticks) // MOST_TICKS)]
    both = [*(-t for t in reversed(ticks)), 0.0, *ticks]
    axes.set_xticks(both, [f"{t:g}" for t in both])
    axes.minorticks_off()
