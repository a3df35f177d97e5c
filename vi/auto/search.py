"""The first stage: independent normals by a search over fixed draws."""

from __future__ import annotations

from dataclasses import replace

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.steps.first_widths import with_first_widths
from vi.approximation.steps.warm_start import searched
from vi.auto.ground import Ground
from vi.diagnostics.status import Status

__all__ = ["search"]

THERE = 0.01
"""Nats that three iterations have to gain: the stages after it go on from where it ends."""


def search(ground: Ground) -> None:
    """Find the best independent normals over ten draws that stay the same.

    It travels ridges, on which steps stay behind, and it knows no step size. Where fresh draws do
    not find its end better than the start, the start stays.
    """
    gradients = 0

    def solved(fit: FitState) -> FitState:
        nonlocal gradients
        target = target_of_all_rows(fit)
        fit = with_first_widths(fit, target)
        params, gradients = searched(fit, target, fit.start, enough=THERE)
        found = Status("running", 0, "a fit in stages is going on.")
        return replace(fit, start=params, free_mean=None, given_std=None, status=found)

    with ground.stage("search", "the best independent normals over ten fixed draws") as write:
        before = ground.fit.start
        ground.approx.change(solved)
        end = ground.look()
        moved = ground.fit.start is not before
        outcome = "independent normals" if moved else "nothing better than the start"
        outcome += f", ELBO {end.elbo:,.6g}"
        write(end.row(gradients, outcome))
