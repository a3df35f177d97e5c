"""Whether fits from several starts agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from vi.approximation import Approximation
from vi.diagnostics.agreement import NEAR
from vi.plots.drawing import approximation, axes_for, dress, palette, scale_gaps

__all__ = ["kinds", "starts"]

ELSEWHERE = 2.0
"""Means that are further apart, in sds of q, are those of another place."""

ERRORS = 2.0
"""Standard errors that bars show."""

KINDS = {
    "agrees": ("agree with the best", "o", "blue"),
    "elsewhere": ("as good, but elsewhere", "D", "mauve"),
    "worse": ("worse", "s", "red"),
    "diverged": ("diverged", "x", "text"),
}
"""What a start can have come to, with label, marker and colour."""


def starts(approx: Approximation, *, ax: Any = None) -> Any:
    """Draw the ELBO that each start came to, and which of them agree.

    A start agrees with the best where its ELBO is the same up to noise and no mean is more than two
    sds of q away. One that is as good but elsewhere has found another mode of the same weight, or
    other names for the same thing; a worse one another mode, or it has not arrived.

    Parameters
    ----------
    approx : vi.Approximation
        A fit with ``restarts=8``, say.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. Bars are two standard errors; the grey band, half a nat, is what counts
        as the same. Above a start that does not agree is the largest distance of its means from the
        best start's, in sds of q.

    Raises
    ------
    TypeError
        If this is no approximation.
    ValueError
        If it was not fitted from several starts.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(
    ...     2_000, method="advi", model=model, restarts=4, random_seed=1, progressbar=False
    ... )
    >>> vi.plots.starts(approx).get_title()
    '4 of 4 starts agree'
    """
    found = approximation(approx, "starts").record.starts
    if found is None:
        raise ValueError(
            "This approximation was fitted from one start: vi.fit(..., restarts=8) fits from eight."
        )
    (axes,) = axes_for(ax)
    colors = palette(axes)
    elbo, error = (found[f"restart_{name}"].to_numpy() for name in ("elbo", "elbo_error"))
    distance = found["restart_distance"].to_numpy()
    best = float(elbo[found.attrs["restart_best"]])
    runs, sorts = found["restart"].to_numpy(), kinds(found)
    gaps = elbo - best
    fine = np.isfinite(gaps)
    lowest = float(np.min(gaps[fine] - ERRORS * error[fine]))
    bottom = min(1.3 * lowest, -1.0)
    axes.axhspan(-NEAR, 0.0, color=colors.faint, alpha=0.5, linewidth=0, zorder=0)
    for kind, (label, marker, color) in KINDS.items():
        which = np.flatnonzero(sorts == kind)
        if not len(which):
            continue
        shown = np.where(fine[which], gaps[which], bottom)
        bars = np.where(fine[which], ERRORS * error[which], 0.0)
        axes.errorbar(
            runs[which],
            shown,
            bars,
            linestyle="none",
            marker=marker,
            markersize=7,
            color=getattr(colors, color),
            capsize=3,
            clip_on=False,
            label=label,
        )
    for run in np.flatnonzero(fine & (sorts != "agrees")):
        axes.annotate(
            f"{distance[run]:.2g} sd",
            (runs[run], gaps[run] + ERRORS * error[run]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize="small",
            color=colors.text,
        )
    scale_gaps(axes, bottom, float(np.max(gaps[fine] + ERRORS * error[fine])))
    axes.set(xlim=(-0.5, len(runs) - 0.5), xticks=runs, xlabel="start")
    axes.set_ylabel(f"ELBO minus the best, {best:,.5g}")
    axes.set_title(f"{int((sorts == 'agrees').sum())} of {len(runs)} starts agree")
    dress(axes, colors, loc="best")
    return axes


def kinds(found: xr.Dataset) -> np.ndarray:
    """What each start has come to, ``(runs,)``: a key of ``KINDS``.

    Parameters
    ----------
    found : xarray.Dataset
        As :func:`vi.diagnostics.agreement.compared` gives it.
    """
    elbo, error = (found[f"restart_{name}"].to_numpy() for name in ("elbo", "elbo_error"))
    best = found.attrs["restart_best"]
    with np.errstate(invalid="ignore"):
        near = elbo[best] - elbo < NEAR + 3 * np.hypot(error, error[best])
        far = found["restart_distance"].to_numpy() > ELSEWHERE
    names = np.where(near, np.where(far, "elsewhere", "agrees"), "worse")
    return np.where(np.isfinite(elbo), names, "diverged")
