"""The loss of a fit on minibatches, by passes over the data."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.approximation.record.fit_state import FitState
from vi.plots.drawing import Palette, approximation, axes_for, dress, palette
from vi.plots.loss import count_above, draw_steps, how_it_ended, in_view, known_losses
from vi.targets.batches.rows import Rows
from vi.targets.batches.search import find_batches

__all__ = ["Epoch", "epoch_of", "means_by_epoch", "plot_epochs"]

MEANS = 200
"""Means that are drawn at most: of more epochs, each is of several."""

FEWEST = 3
"""Epochs below which single steps are drawn."""

ON_BATCHES = {"search", "climb", "check", "chains"}
"""Stages of ``"auto"`` that make no steps, or steps on batches."""

MARKED = 60
"""Means up to which each has a marker."""


@dataclass(frozen=True)
class Epoch:
    """A pass over the data.

    Parameters
    ----------
    rows : int
        Rows of the data.
    size : int
        Rows of a batch.
    steps : float
        Steps of an epoch.
    """

    rows: int
    size: int
    steps: float


@dataclass(frozen=True)
class Means:
    """Means of the losses of whole epochs.

    Parameters
    ----------
    epochs : int
        How many epochs each is of.
    ends : numpy.ndarray
        How many had ended with each, ``(P,)``.
    loss : numpy.ndarray
        The means, ``(P,)``.
    """

    epochs: int
    ends: np.ndarray
    loss: np.ndarray


def plot_epochs(approx: Approximation, *, ax: Any = None) -> Any:
    """Draw the loss of a fit on minibatches over the epochs: how often all rows were seen.

    The mean of an epoch sees every row once: what chance puts into one batch is not in it, so that
    it shows progress that single steps hide; means that are level have arrived. A fit of less than
    an epoch has not seen all data: of fewer than three, single steps are drawn. Epochs are those of
    the data that the last steps saw; of several minibatches with rows of their own, the longest.

    Parameters
    ----------
    approx : vi.Approximation
        A fit on ``vi.Minibatch``, ``pm.Minibatch`` or ``data=`` with ``batch_size=``, whose losses
        were kept.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on: the mean of each epoch, or of some together if there are hundreds. The
        title says how many epochs there were.

    Raises
    ------
    TypeError
        If this is no approximation.
    ValueError
        If there are no losses, a step sees all rows, or stages of ``"auto"`` before those on
        batches have matched scores of some rows.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    Examples
    --------
    >>> import matplotlib, numpy as np, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> y = vi.Minibatch(np.random.default_rng(1).normal(2.0, 1.0, size=1_000), batch_size=100)
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 10.0)
    ...     _ = pm.Normal("y", mu, 1.0, observed=y, total_size=1_000)
    >>> approx = vi.fit(500, method="advi", model=model, random_seed=1, progressbar=False)
    >>> vi.plots.plot_epochs(approx).get_xlabel()
    'epoch (1,000 rows in steps of 100)'
    """
    fit = approximation(approx, "plot_epochs").record
    losses = known_losses(fit)
    epoch = epoch_of(fit)
    (axes,) = axes_for(ax)
    colors = palette(axes)
    means = means_by_epoch(losses, epoch.steps)
    label = "loss" if fit.algorithm is None else f"loss ({fit.algorithm.loss_name})"
    few = len(means.ends) < FEWEST  # a line of two points shows nothing
    if not few:
        what = "an epoch" if means.epochs == 1 else f"{means.epochs:,} epochs"
        label += f", mean of {what}"
        low, high = _means(axes, means, colors)
    else:
        low, high = _steps(axes, losses, epoch, means, colors)
    axes.set_ylim(low, high)
    done = len(losses) / epoch.steps
    name = "epoch" if f"{done:.3g}" == "1" else "epochs"
    axes.set_title(f"{fit.status.ending} after {_number(done)} {name}{how_it_ended(fit)}")
    axes.set(xlabel=f"epoch ({epoch.rows:,} rows in steps of {epoch.size:,})", ylabel=label)
    axes.set_xlim(0, done * (1 + 1 / len(losses)))
    dress(axes, colors, **({"loc": "upper right"} if few else {}))
    return axes


def _means(axes: Any, means: Means, colors: Palette) -> tuple[float, float]:
    """Draw means of epochs; the losses between which one looks."""
    style = {"marker": "o" if len(means.ends) <= MARKED else None, "markersize": 4}
    axes.plot(means.ends, means.loss, color=colors.blue, **style)
    low, high = in_view(means.loss, means.loss)
    count_above(axes, means.loss, high, colors, "of the means")
    return low, high


def _steps(
    axes: Any, losses: np.ndarray, epoch: Epoch, means: Means, colors: Palette
) -> tuple[float, float]:
    """Draw the single steps of a fit that has hardly begun, and an epoch that has ended."""
    draw_steps(axes, losses, colors, epoch.steps)
    if len(means.ends):
        style = {"linestyle": "none", "marker": "o", "markersize": 6}
        axes.plot(means.ends, means.loss, color=colors.blue, label="mean of an epoch", **style)
    low, high = in_view(losses, means.loss)
    count_above(axes, losses, high, colors)
    return low, high


def epoch_of(fit: FitState) -> Epoch:
    """The epoch of a fit: of several minibatches, the one that takes the most steps.

    Raises
    ------
    ValueError
        If a step sees all rows, or some that stand for all; or what it saw is not there any more.
    """
    training = fit.data.training
    model, replaced = fit.model, training.replacements.values()
    found = [*replaced, *model.basic_RVs, *model.potentials, *model.rvs_to_values.values()]
    epochs = [_epoch(rows) for rows in find_batches(found).rows]
    if training.streamed is not None:
        rows, size = training.streamed.n_rows, training.streamed.size
        epochs.append(Epoch(rows, size, rows / size))
    if epochs:
        if others := [stage.stage for stage in fit.stages if stage.stage not in ON_BATCHES]:
            raise ValueError(
                f"The steps of some stages ({', '.join(dict.fromkeys(others))}) saw some rows that "
                "stand for all: there are no epochs. vi.plots.plot_stages(approx) draws what the "
                "stages came to."
            )
        return max(epochs, key=lambda epoch: epoch.steps)
    if fit.data.missing is not None:
        raise ValueError(
            "How many rows a step saw is not known here: a file or a pickle does not hold them. "
            "vi.plots.loss(approx) draws the loss by steps."
        )
    raise ValueError(
        "This fit had no minibatches: every step saw all rows, which makes a step an epoch. "
        "vi.plots.loss(approx) draws the loss by steps."
    )


def _epoch(rows: Rows) -> Epoch:
    """The epoch of a minibatch's rows."""
    count, sampling = rows.count(), rows.sampling
    own = sampling.drop_last or sampling.short_last  # epochs begin with a batch of their own
    steps = sampling.epoch_steps(count) if own else count / sampling.size
    return Epoch(count, sampling.size, float(steps))


def means_by_epoch(losses: np.ndarray, steps: float) -> Means:
    """Means of the losses of whole epochs, at some hundred places at most.

    Parameters
    ----------
    losses : numpy.ndarray
        Of every step, ``(n,)``.
    steps : float
        Steps of an epoch. A step that goes on into the next one belongs to that which has more of
        it.
    """
    whole = int(len(losses) / steps + 1e-9)
    together = max(1, -(-whole // MEANS))
    ends = np.arange(together, whole + 1, together)
    edges = np.concatenate([[0], np.round(ends * steps)]).astype(int)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # an epoch without a single step
        loss = [np.nanmean(losses[begin:end]) for begin, end in itertools.pairwise(edges)]
    return Means(together, ends, np.array(loss))


def _number(epochs: float) -> str:
    """A number of epochs as one reads it."""
    return f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"
