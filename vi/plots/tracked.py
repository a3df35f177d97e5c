"""The paths of tracked quantities: what a callback recorded, over the steps of the fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.callbacks import Tracker
from vi.foundation.numbers import check_count
from vi.plots.drawing import Palette, axes_for, dress, entry, palette
from vi.plots.paths import Path, paths_of, recorded

__all__ = ["plot_tracked"]

POINTS = 1000
"""Records that are drawn of one quantity, evenly spread over all."""

STYLES = ("-", "--", ":")
LINES = 9
"""Entries that get a line each, of three colours and three styles. Of more, quantiles are drawn."""

MANY, COLUMNS, ROOM = 4, 3, 0.1
"""Lines from which on the legend has a place above them, its columns, and the share of the height
of the lines that one of its rows takes."""

WIDE, HALF = (0.05, 0.95), (0.25, 0.75)
"""The shares of entries that the two bands hold."""

PANEL = (3.6, 2.7)
"""Size of a panel in inches; one alone is larger."""


def plot_tracked(
    tracker: Tracker | Mapping[str, Any],
    approx: Approximation | None = None,
    *,
    var_names: Sequence[str] | None = None,
    steps: Any = None,
    columns: int = 3,
    ax: Any = None,
) -> Any:
    """Draw the path of what a tracker has recorded, over the steps of the fit.

    Up to nine entries of a quantity get a line each, labelled by the coordinates of an
    ``xarray.DataArray`` or by their indices. Of more entries there are the median, and bands that
    hold 50 % and 90 % of them. A quantity that is an ``xarray.Dataset``, as ``approx.mean_data``,
    is cut into its variables, and so is one as long as the flat vector of `approx`: the scalar ones
    share a panel. Long records are thinned.

    Parameters
    ----------
    tracker : vi.callbacks.Tracker or mapping of {str: sequence}
        What was recorded: by name one value a record, a number or an array of the same shape each
        time.
    approx : vi.Approximation, optional
        What was tracked, for the names of the entries of vectors as long as its flat vector, as
        ``approx.mean.eval()`` gives them.
    var_names : sequence of str, optional
        Quantities to draw; all by default.
    steps : sequence of int, optional
        The step of each record, increasing, for a mapping: a tracker knows them. By default 1, 2
        and so on.
    columns : int
        Panels beside each other.
    ax : matplotlib.axes.Axes or sequence of them, optional
        Where to draw, one for each panel; a new figure by default.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        One for each panel, titled by its quantity.

    Raises
    ------
    TypeError
        If this is neither, or values are no real numbers.
    ValueError
        If nothing was recorded, a name is unknown, a quantity changes its shape, or steps do not
        increase (a tracker of two fits: ``tracker.clear()`` between them).
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> tracker = vi.callbacks.Tracker(every=10, mean=lambda approx, losses, i: approx.mean_data)
    >>> approx = vi.fit(
    ...     500, method="advi", model=model, callbacks=[tracker], random_seed=1, progressbar=False
    ... )
    >>> [axes.get_title() for axes in vi.plots.plot_tracked(tracker)]
    ['mean: mu']
    """
    if approx is not None and not isinstance(approx, Approximation):
        raise TypeError(
            "approx must be what was tracked, the approximation that vi.fit(...) gives, or None; "
            f"this is {type(approx).__name__}."
        )
    check_count("columns", columns)
    layout = None if approx is None else approx.layout
    panels: list[tuple[np.ndarray, Path]] = []
    for name, values, at in recorded(tracker, var_names, steps):
        few = np.unique(np.linspace(0, len(values) - 1, POINTS).astype(int))
        panels += [(at[few], path) for path in paths_of(name, values, few, layout)]
    count, across = len(panels), min(columns, len(panels))
    size = (PANEL[0] * across, PANEL[1] * -(-count // across)) if count > 1 else (6.4, 4.0)
    every = axes_for(ax, count, size, columns)
    for axes, (at, path) in zip(every, panels, strict=True):
        colors = palette(axes)
        alone = "o" if len(at) == 1 else None
        if len(path.labels) <= LINES:
            _lines(axes, at, path, colors, alone)
        else:
            _bands(axes, at, path, colors, alone)
        axes.set(title=path.title, xlabel="step")
        dress(axes, colors, **_legend(axes, len(path.labels)))
    return np.array(every)


def _legend(axes: Any, entries: int) -> dict[str, Any]:
    """Where the legend is; above many lines, which it would lie upon, with room made for it."""
    if not MANY < entries <= LINES:
        return {"loc": "best"} if entries > 1 else {}
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + ROOM * -(-entries // COLUMNS) * (high - low))
    return {"loc": "upper center", "ncols": COLUMNS}


def _lines(axes: Any, at: np.ndarray, path: Path, colors: Palette, marker: Any) -> None:
    """A line for each entry."""
    hues = (colors.blue, colors.red, colors.mauve)
    for i, (label, values) in enumerate(zip(path.labels, path.values.T, strict=True)):
        style, color = STYLES[i // len(hues)], hues[i % len(hues)]
        axes.plot(at, values, color=color, linestyle=style, marker=marker, label=entry(label))


def _bands(axes: Any, at: np.ndarray, path: Path, colors: Palette, marker: Any) -> None:
    """The median of many entries, and where most of them lie."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # records without a single number
        low, first, middle, third, high = np.nanquantile(
            path.values, [WIDE[0], HALF[0], 0.5, HALF[1], WIDE[1]], axis=1
        )
    for below, above, share, alpha in ((low, high, 90, 0.2), (first, third, 50, 0.35)):
        label = f"{share} % of {len(path.labels):,} entries"
        axes.fill_between(
            at, below, above, color=colors.blue, alpha=alpha, linewidth=0, label=label
        )
    axes.plot(at, middle, color=colors.blue, marker=marker, label="median")
