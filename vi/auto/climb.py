"""The stage of stochastic gradients: what the ELBO gains from where the normal is."""

from __future__ import annotations

from dataclasses import replace

from vi.approximation.checkpoints.asked import Checkpoint
from vi.approximation.record.parameters import averaged_params, mean_and_std
from vi.auto.ground import Ground
from vi.callbacks import CheckConvergence
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import Family, FullRank, LowRank
from vi.inference.gradient_steps import gradient_steps
from vi.objectives import StickingTheLanding

__all__ = ["LARGEST_FULL", "climb"]

LARGEST_FULL = 1000
"""Dimensions up to which the covariance is a full one: the time of a step of the matching stage
grows with their cube."""

STEPS = 3000
"""Steps from a normal that is there already, and has not far to go."""


def climb(ground: Ground) -> None:
    """Make steps along the ELBO's gradient, if that is where the normal falls short.

    A normal that matches scores is not the one of the highest ELBO where the posterior is none.
    Steps that see batches end when they have converged: what they would gain after that is noise.
    """
    fit = ground.fit
    family: Family = FullRank() if fit.layout.dim <= LARGEST_FULL else LowRank()
    params = averaged_params(fit)
    fresh = type(fit.family) is not type(family)
    if fresh:
        params = ground.at(family, *mean_and_std(fit))
    n = ground.options.steps if fresh else min(ground.options.steps, STEPS)
    algorithm = gradient_steps(family, StickingTheLanding(), ground.options, fit.model)
    with ground.stage("climb", f"steps of {family.short_name} along the ELBO") as write:
        known = fit.data.stream is None  # whether all rows can be looked at
        start = ground.look() if known else None
        try:
            until = CheckConvergence() if ground.options.sees_batches(fit.model) else None
            done = ground.steps(family, params, algorithm, n, until, _checkpoint(ground))
        except DivergedError as error:
            ground.back_to(fit)
            spent = n * algorithm.n_draws
            write(Stage("", gradients=spent, outcome=f"left out: {error}", kept=False))
            return
        row = Stage("", gradients=done * algorithm.n_draws)
        outcome = f"{done:,} steps of {family.short_name}"
        if start is not None:
            end = ground.look()
            outcome += f", ELBO {end.elbo:,.6g}"
            below = end.below(start)
            if below:
                ground.back_to(fit)
                outcome += ", lower than before: left out"
            row = end.row(row.gradients, outcome, kept=not below)
        write(replace(row, outcome=outcome))


def _checkpoint(ground: Ground) -> Checkpoint | None:
    """That of this stage: each place from which steps are made has a file of its own."""
    asked = ground.options.checkpoint
    before = sum(stage.stage == "climb" for stage in ground.fit.stages)
    return None if asked is None else asked.numbered(before + 1)
