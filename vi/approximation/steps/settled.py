"""How far q still moves where what is reported is the last iterate: further steps say, unmade."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from vi.algorithms import Gradient
from vi.approximation.record.fit_state import FitState
from vi.approximation.results.points import draw
from vi.diagnostics.doubts import about_movement
from vi.families.point import point_entries
from vi.foundation.seeds import LOOKS, derived_seed
from vi.training.one import OneRun
from vi.training.run import Run

__all__ = ["unsettled"]

SHARE, MOST, LOOKED = 20, 500, 10
"""A twentieth of the steps that were made, at most so many, are made for the look, and q is looked
at so often meanwhile."""

SHARE_OF_CALL = 4
"""Of the steps of this call no more than a quarter: who goes on by ten steps waits for no 500."""

DRAWS = 32
"""Draws of q that are followed: of what moves, a tenth of an sd is seen in each coordinate."""

LARGEST = 2**22
"""Numbers of these draws up to which they are followed: a few MB."""


def unsettled(fit: FitState, run: Run) -> tuple[str, bool]:
    """What draws of q, followed through some steps that do not count, say of where it has ended.

    A rate that stays what it is keeps the iterate moving about the optimum, and with minibatches by
    many standard deviations of q. The loss does not show it: that of batches varies by more.

    Parameters
    ----------
    fit : FitState
        The record at the end of the run.
    run : Run
        The run, which stays where it is.

    Returns
    -------
    tuple of str and bool
        What to say, nothing where q has settled or nobody can tell; and whether it is wild.
    """
    if not _reports_the_last(fit, run):
        return "", False
    assert isinstance(run, OneRun)
    made = run.step - run.first
    steps = min(run.step // SHARE, MOST, made // SHARE_OF_CALL) // LOOKED
    if not steps:
        return "", False
    seed = derived_seed(fit.seed, LOOKS)  # the same noise whatever the parameters
    points = []
    # the steps that were asked for are made: neither Ctrl-C nor what further ones raise undoes them
    with suppress(Exception, KeyboardInterrupt):
        points += [
            draw(fit.family, state.params, seed, DRAWS, fit.dtype)[0].astype(np.float64)
            for state in (run.state, *run.ahead(steps, LOOKED))
        ]
    if len(points) <= LOOKED:
        return "", False
    now, later = points[0], np.stack(points[1:])
    with np.errstate(all="ignore"):
        moved = np.sqrt(np.mean((later - now) ** 2, axis=(0, 1))) / now.std(axis=0, ddof=1)
    moved[list(point_entries(fit.family, fit.layout.dim))] = np.nan  # which have no width
    return about_movement(moved, steps * LOOKED, fit.layout.describe)


def _reports_the_last(fit: FitState, run: Run) -> bool:
    """Whether it is the last iterate, of a density in the coordinates, that is reported."""
    algorithm, family = fit.algorithm, fit.family
    return (
        isinstance(run, OneRun)
        and isinstance(algorithm, Gradient)
        and algorithm.averaging is None
        and family.has_density
        and not fit.data.training.streamed  # whose next rows are not here
        and DRAWS * fit.layout.dim <= LARGEST
    )
