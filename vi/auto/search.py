"""The first stage: independent normals by a search over fixed draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.steps.first_widths import with_first_widths
from vi.approximation.steps.warm_start import searched
from vi.auto.ground import Ground
from vi.auto.some_rows import NEAR, see_batches, towards_all_rows
from vi.diagnostics.status import Status
from vi.targets.batches.some_rows import SomeRows

__all__ = ["search"]

THERE = 0.01
"""Nats that three iterations have to gain: the stages after it go on from where it ends."""


def search(ground: Ground, *, alone: bool) -> None:
    """Find the best independent normals over ten draws that stay the same.

    It travels ridges, on which steps stay behind, and it knows no step size. Where fresh draws do
    not find its end better than the start, the start stays.

    Parameters
    ----------
    ground : Ground
        The fit.
    alone : bool
        Whether no matching follows: from some rows it then goes on to where all rows have q.
    """
    gradients = 0

    def solved(fit: FitState) -> FitState:
        nonlocal gradients
        target = fit.data.some_rows or target_of_all_rows(fit)
        fit = with_first_widths(fit, target)
        params, spent = searched(fit, target, fit.start, enough=THERE)
        gradients += spent
        found = Status("running", 0, "a fit in stages is going on.")
        return replace(fit, start=params, free_mean=None, given_std=None, status=found)

    def again(way: np.ndarray) -> None:
        mean, std = mean_and_std(ground.fit)
        start = ground.at(ground.fit.family, mean + way, std)
        ground.approx.change(lambda fit: replace(fit, start=start))
        ground.approx.change(solved)

    with ground.stage("search", "the best independent normals over ten fixed draws") as write:
        before, some, of_all = ground.fit.start, ground.fit.data.some_rows, 0
        ground.approx.change(solved)
        moved = ground.fit.start is not before
        if some is not None and alone:
            of_all = towards_all_rows(ground, again, NEAR)
            see_batches(ground)
        end = ground.look()
        outcome = "independent normals" if moved else "nothing better than the start"
        outcome += f", ELBO {end.elbo:,.6g}"
        row = end.row(gradients + of_all, outcome)
        if isinstance(some, SomeRows) and not alone:
            # no ELBO of the fit's
            row = replace(row, elbo=np.nan, elbo_error=np.nan, pareto_k=np.nan)
            row = replace(row, outcome=f"{outcome} by {some.count:,} rows")
        write(row)
