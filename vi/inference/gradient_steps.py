"""The steps along the gradient of an objective that options ask for."""

from __future__ import annotations

import logging

import pymc as pm

from vi.algorithms import Gradient
from vi.families import Family
from vi.inference.run_options import RunOptions
from vi.objectives import Objective

__all__ = ["gradient_steps"]

logger = logging.getLogger("vi")


def gradient_steps(
    family: Family, objective: Objective, options: RunOptions, model: pm.Model
) -> Gradient:
    """Steps along the gradient of an objective, as the options have them.

    Where a step sees a batch, draws come in pairs if the family is one that needs them.

    Raises
    ------
    ValueError
        If the objective needs more draws than were asked for, or a multiple of some number.
    """
    fewest, together = objective.fewest_draws, objective.draws_together
    n_draws, pairs = max(family.default_draws, fewest), False
    n_draws += -n_draws % together
    if options.n_draws is not None:
        n_draws = options.n_draws
        if n_draws < fewest:
            raise ValueError(
                f"obj_n_mc={n_draws}: the objective {objective.short_name!r} needs at "
                f"least {fewest} draws a step; with fewer it is another objective."
            )
        if n_draws % together:
            raise ValueError(
                f"obj_n_mc={n_draws}: the objective {objective.short_name!r} takes {together} "
                f"draws together; give a multiple of {together}, or leave obj_n_mc out."
            )
    if family.pairs_in_batches and family.symmetric and options.sees_batches(model):
        n_draws += n_draws % 2 if options.n_draws is None else 0
        pairs = n_draws % 2 == 0
        if not pairs and n_draws > 1:
            logger.warning(
                "obj_n_mc=%d is odd, so that draws come in no pairs, which take the noise of "
                "batches out of a covariance; %d would.",
                n_draws,
                n_draws + 1,
            )
    return Gradient(
        family=family,
        optimizer=options.optimizer,
        averaging=options.averaging,
        n_draws=n_draws,
        max_gradient_norm=options.max_gradient_norm,
        objective=objective,
        antithetic=pairs,
    )
