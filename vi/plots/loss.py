"""The loss of every step, with its running mean and its noise."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.approximation.record.fit_state import FitState
from vi.diagnostics.losses import WINDOW, finite, recent, still_falling
from vi.plots.drawing import Palette, approximation, axes_for, dress, palette

__all__ = [
    "Running",
    "count_above",
    "draw_steps",
    "how_it_ended",
    "in_view",
    "known_losses",
    "loss",
    "running",
    "with_error",
]

POINTS = 500
"""Places at which the running mean is drawn."""

DOTS = 2000
"""Losses that are drawn, evenly spread over the steps."""

WINDOWS = 20
"""A running mean is over a 20th of the steps, 1,000 at most."""

BAND = (0.05, 0.95)
"""The share of losses that the band holds."""

HEADROOM = 2.0
"""How far above the losses of the second half the view may go, in heights of these."""


@dataclass(frozen=True)
class Running:
    """Means and quantiles of the losses up to some steps.

    Parameters
    ----------
    window : int
        How many losses each is of.
    steps : numpy.ndarray
        The last step of each window, ``(P,)``, from 1.
    mean, low, high : numpy.ndarray
        Mean, 5 % and 95 % quantile, ``(P,)``.
    """

    window: int
    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def loss(approx: Approximation, *, ax: Any = None) -> Any:
    """Draw the loss: single steps, their running mean, and where 90 % of them lie.

    The mean has arrived where it is level; how far single steps lie from it is their noise, which
    stays however long the fit is. The view is that of the second half of the steps and some room
    above: the losses of a bad start, which can be any number of times larger, are counted in a
    corner. Long histories are thinned.

    Parameters
    ----------
    approx : vi.Approximation
        A fit whose losses were kept.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; its title says how the run ended.

    Raises
    ------
    TypeError
        If this is no approximation.
    ValueError
        If there are no losses.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(2_000, method="advi", model=model, random_seed=1, progressbar=False)
    >>> vi.plots.loss(approx).get_xlabel()
    'step'
    """
    fit = approximation(approx, "loss").record
    losses = known_losses(fit)
    (axes,) = axes_for(ax)
    colors = palette(axes)
    draw_steps(axes, losses, colors)
    means = running(losses)
    if means.window > 1:
        axes.fill_between(
            means.steps,
            means.low,
            means.high,
            color=colors.blue,
            alpha=0.2,
            linewidth=0,
            label="90 % of the losses",
        )
    axes.plot(means.steps, means.mean, color=colors.blue, label=f"mean of {means.window:,} steps")
    low, high = in_view(losses, means.mean)
    axes.set_ylim(low, high)
    count_above(axes, losses, high, colors)
    axes.set_title(f"{fit.status.ending} at step {fit.status.step:,}{how_it_ended(fit)}")
    name = "loss" if fit.algorithm is None else f"loss ({fit.algorithm.loss_name})"
    axes.set(xlabel="step", ylabel=name, xlim=(0, len(losses) + 1))
    dress(axes, colors, loc="upper right", markerscale=3)
    return axes


def draw_steps(axes: Any, losses: np.ndarray, colors: Palette, unit: float = 1.0) -> None:
    """Draw the losses of single steps, some of very many, over steps in a unit."""
    every = -(-len(losses) // DOTS)
    axes.plot(
        np.arange(1, len(losses) + 1, every) / unit,
        losses[::every],
        linestyle="none",
        marker=".",
        markersize=2.5,
        color=colors.faint,
        label="single steps" if every == 1 else f"one step in {every:,}",
        zorder=1,
    )


def known_losses(fit: FitState) -> np.ndarray:
    """The losses of a record, or a refusal of one that has none."""
    losses = np.asarray(fit.losses, np.float64)
    if not np.isfinite(losses).any():
        why = (
            "score=False keeps none; fit without it."
            if not fit.keep_losses
            else "it has done no steps: fit it, or the method finds q without a loss (Laplace)."
        )
        raise ValueError(f"This approximation has no losses: {why}")
    return losses


def how_it_ended(fit: FitState) -> str:
    """Whether the loss still falls, and its average; of the last stage, whose loss it is."""
    own = fit.own_losses if np.isfinite(fit.own_losses).any() else fit.losses
    falls = ", still falling" if still_falling(own) else ""
    return f"{falls}: {with_error(finite(recent(own)))}"


def running(losses: np.ndarray) -> Running:
    """Running means and quantiles of losses ``(n,)``, at some hundred places."""
    window = max(1, min(WINDOW, len(losses) // WINDOWS))
    ends = np.unique(np.linspace(window, len(losses), POINTS).astype(int))
    parts = np.lib.stride_tricks.sliding_window_view(losses, window)[ends - window]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a window without a single step
        # steps that were left out are NaN
        mean, quantiles = np.nanmean(parts, axis=1), np.nanquantile(parts, BAND, axis=1)
    return Running(window, ends, mean, *quantiles)


def in_view(losses: np.ndarray, means: np.ndarray) -> tuple[float, float]:
    """The losses between which one looks: those of the second half, and some room.

    There is room for the running mean, up to two heights of what the second half takes.
    """
    half = losses[len(losses) // 2 :]
    half = half[np.isfinite(half)] if np.isfinite(half).any() else losses[np.isfinite(losses)]
    low, high = np.quantile(half, (0.005, 0.995))
    height = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-12)
    mean = means[np.isfinite(means)]
    above = max(float(mean.max()) - high, 0.0) if len(mean) else 0.0
    below = max(low - float(mean.min()), 0.0) if len(mean) else 0.0
    room = HEADROOM * height
    return (
        float(low - min(below, room) - 0.05 * height),
        float(high + min(above, room) + 0.1 * height),
    )


def with_error(losses: np.ndarray) -> str:
    """The mean of losses and its standard error, to the first digit of the error."""
    with np.errstate(all="ignore"):
        mean, error = float(losses.mean()), float(losses.std() / np.sqrt(len(losses)))
    if not (0.0 < error < 1e9 and abs(mean) < 1e9):
        return f"{mean:,.5g}"
    digits = max(0, -int(np.floor(np.log10(error))))
    return f"{mean:,.{digits}f} ± {error:,.{digits}f}"


def count_above(
    axes: Any, losses: np.ndarray, high: float, colors: Palette, what: str = "losses"
) -> None:
    """Say how many losses, or means of them, lie above the view."""
    above = losses[losses > high]
    # a few are what noise is like; a beginning that is cut off is worth a word
    if len(above) > 0.01 * len(losses):
        axes.annotate(
            f"↑ {len(above):,} {what} above, up to {above.max():,.3g}",
            (0.02, 0.97),
            xycoords="axes fraction",
            va="top",
            color=colors.text,
            fontsize="small",
            bbox={"facecolor": colors.paper, "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
        )
