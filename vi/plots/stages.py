"""What a fit in stages has tried: ELBO and k of each stage against what it cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.approximation.record.judgement import present_diagnosis
from vi.foundation.arguments import choice
from vi.plots.drawing import approximation, axes_for, dress, palette, scale_gaps

__all__ = ["plot_stages"]

ERRORS = 2.0
"""Standard errors that bars show."""

COSTS = {"gradients": "gradients of log p so far", "seconds": "seconds so far"}
"""What stages are drawn against, by column of the table, with the label of the axis."""

LOGARITHMIC = 20.0
"""How many times the first cost the last one is where the axis becomes logarithmic."""


def plot_stages(approx: Approximation, against: str = "gradients", *, ax: Any = None) -> Any:
    """Draw what the stages of ``vi.fit(method="auto")`` have come to, and what they cost.

    A point is where a stage ended: its ELBO from fresh draws, its Pareto k, and the gradients up to
    there. A line joins the stages from which the fit went on; one that came to nothing is hollow.
    Chains, and steps that diverged, have no ELBO: they are crosses at the lower edge.

    Parameters
    ----------
    approx : vi.Approximation
        A fit by the method that chooses.
    against : {"gradients", "seconds"}
        What the stages are drawn against, added up.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. Bars are two standard errors; the title is the verdict, if there is one.

    Raises
    ------
    TypeError
        If this is no approximation.
    ValueError
        If it was not fitted in stages, or `against` is unknown.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="auto", model=model, random_seed=1, progressbar=False)
    >>> vi.plots.plot_stages(approx).get_title()
    'good'
    """
    fit = approximation(approx, "plot_stages").record
    choice("against", against, COSTS)
    if not fit.stages:
        raise ValueError(
            "This approximation was not fitted in stages: vi.fit(method='auto') makes one that is."
        )
    (axes,) = axes_for(ax)
    colors = palette(axes)
    cost = np.cumsum([getattr(stage, against) for stage in fit.stages])
    elbo, error = (np.array([getattr(s, n) for s in fit.stages]) for n in ("elbo", "elbo_error"))
    kept, known = np.array([stage.kept for stage in fit.stages]), np.isfinite(elbo)
    best = float(elbo[known & kept].max()) if np.any(known & kept) else 0.0
    gaps, bars = np.where(known, elbo - best, 0.0), np.where(known, ERRORS * error, 0.0)
    bottom = min(1.8 * float(np.min(gaps - bars)), -1.0)
    shown = np.where(known, gaps, bottom)
    joined = known & kept
    axes.plot(cost[joined], shown[joined], color=colors.faint, zorder=1)
    for which, label, style in (
        (known & kept, "went on from here", {"marker": "o", "color": colors.blue}),
        (
            known & ~kept,
            "left out",
            {"marker": "o", "color": colors.red, "markerfacecolor": colors.paper},
        ),
        (~known, "no ELBO", {"marker": "x", "color": colors.text, "markeredgewidth": 2}),
    ):
        if not which.any():
            continue
        axes.errorbar(
            cost[which],
            shown[which],
            bars[which],
            linestyle="none",
            markersize=7,
            capsize=3,
            clip_on=False,
            label=label,
            zorder=3,
            **style,
        )
    for number, stage in enumerate(fit.stages):
        text = stage.stage
        if np.isfinite(stage.pareto_k):
            text += f"\nk = {stage.pareto_k:.2f}"
        # neighbours can be near each other: their labels are on different sides, at the edge above
        odd = known[number] and np.sum(known[:number]) % 2
        side = -1 if odd and gaps[number] > gaps.min() else 1
        axes.annotate(
            text,
            (cost[number], shown[number] + side * bars[number]),
            xytext=(0, 7 * side),
            textcoords="offset points",
            ha="center",
            va="bottom" if side > 0 else "top",
            fontsize="small",
            color=colors.text,
            bbox={"facecolor": colors.paper, "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        )
    scale_gaps(axes, bottom, float(np.max(shown + bars)))
    if cost[0] > 0 and cost[-1] > LOGARITHMIC * cost[0]:
        axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set(xlabel=COSTS[against], ylabel=f"ELBO minus the best, {best:,.5g}")
    diagnosis = present_diagnosis(fit)
    axes.set_title("" if diagnosis is None else diagnosis.verdict)
    dress(axes, colors, **({} if np.all(joined) else {"loc": "best"}))
    return axes
