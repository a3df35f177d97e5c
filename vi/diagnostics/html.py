"""How a fit ended and what was measured of it, as HTML for notebooks."""

from __future__ import annotations

from html import escape

import numpy as np
import xarray as xr

from vi.foundation.html import FAINT, table

__all__ = ["checked_html", "colour_of", "paragraph", "worst_html"]

COLOURS = {
    "good": "#009e73",
    "usable with importance resampling": "#0072b2",
    "means only": "#e69f00",
    "do not use": "#d55e00",
    "converged": "#0072b2",
    "interrupted": "#e69f00",
    "stopped": "#e69f00",
    "unreliable": "#d55e00",
    "diverged": "#d55e00",
    "failed": "#d55e00",
}
"""Of verdicts and endings, told apart without red and green (Okabe and Ito); the words are there
as well."""

WORST = 5
"""Coordinates that are listed."""


def colour_of(word: str) -> str | None:
    """The colour of a verdict or an ending; none of one that says nothing good or bad."""
    return COLOURS.get(word)


def paragraph(text: str, faint: bool = False) -> str:
    """A line of plain text."""
    return f'<div style="{FAINT if faint else ""}">{escape(text)}</div>' if text else ""


def checked_html(
    elbo: float, elbo_error: float, pareto_k: float, ess: float, discrepancy: float
) -> str:
    """The numbers of a diagnosis that were measured, as a table."""
    rows = []
    if np.isfinite(elbo):
        rows.append(("ELBO", f"{elbo:,.6g} ± {elbo_error:.2g}"))
    if np.isfinite(pareto_k):
        rows.append(("Pareto k", f"{pareto_k:.2f}"))
        rows.append(("effective draws", f"{ess:,.0f}"))
    if np.isfinite(discrepancy):
        rows.append(("discrepancy", f"{discrepancy:.2g}"))
    return table(rows) if rows else ""


def worst_html(shifts: xr.Dataset) -> str:
    """The coordinates that weights or chains move most, as a table; nothing without such columns.

    Parameters
    ----------
    shifts : xarray.Dataset
        The table of a diagnosis, one row a coordinate.
    """
    columns = [name for name in shifts.data_vars if str(name).startswith(("weights_", "chains_"))]
    known = [name for name in columns if np.isfinite(shifts[name]).any()]
    if not known:
        return ""
    moved = np.array([np.abs(shifts[name].to_numpy()) for name in known], float)
    sizes = np.nan_to_num(moved, posinf=np.finfo(float).max).max(axis=0)
    order = np.argsort(-sizes, kind="stable")[:WORST]
    labels = shifts[next(iter(shifts.dims))].values
    rows = [
        (str(labels[i]), *(f"{float(shifts[name].values[i]):+.2f}" for name in known))
        for i in order
    ]
    heads = [str(name).replace("_", ", ") for name in known]
    return table(rows, head=("moved most by", *heads))
