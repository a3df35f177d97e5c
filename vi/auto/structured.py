"""The stage of the model's own structure: a covariance without what it does not need."""

from __future__ import annotations

from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.steps.structured_start import structured_params, structured_start
from vi.auto.climb import STEPS
from vi.auto.ground import Ground
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import Structured
from vi.inference.gradient_steps import gradient_steps
from vi.objectives import StickingTheLanding
from vi.search.structure import structure_of
from vi.targets.model.start import start_point

__all__ = ["FEWEST", "structured"]

FEWEST = 100
"""Dimensions from which on the structure is looked for: below, a full covariance costs nothing."""


def structured(ground: Ground) -> bool:
    """Fit in the model's structure, if it has one; whether the fit is in it now.

    From Laplace's approximation in the structure, if there is one, otherwise from where the fit is.
    What ends below where it began, by the ELBO, is left out.
    """
    if ground.fit.layout.dim < FEWEST:
        return False
    fit = ground.fit
    with ground.stage("structure", "which coordinates interact, and a normal that has that") as row:
        target = target_of_all_rows(fit)
        mean, std = mean_and_std(fit)
        # as vi.structure: where the search has ended in the pit of a scale, nothing else is seen
        initial = fit.layout.flatten(start_point(fit.model, None, fit.seed), target.dtype)
        try:
            found = structure_of(target, initial)
        except ValueError as error:
            row(Stage("", outcome=f"left out: {error}", kept=False))
            return False
        family = found.family
        if not isinstance(family, Structured):
            row(Stage("", gradients=found.products, outcome="dense: no structure", kept=False))
            return False
        before, spent = ground.look(), found.products
        params = ground.at(family, mean, std)
        laplace = structured_start(family, target, initial)
        if laplace is None:
            laplace = structured_start(family, target, mean)
        if laplace is not None:
            params = structured_params(family, fit.dtype, laplace)
            spent += laplace.products
        n = min(ground.options.steps, STEPS)
        algorithm = gradient_steps(family, StickingTheLanding(), ground.options, fit.model)
        try:
            done = ground.steps(family, params, algorithm, n)
        except DivergedError as error:
            ground.back_to(fit)
            row(Stage("", gradients=spent, outcome=f"left out: {error}", kept=False))
            return False
        end = ground.look()
        outcome = f"{found.kind} given {len(found.globals)} globals, ELBO {end.elbo:,.6g}"
        spent += done * algorithm.n_draws
        if end.below(before):
            ground.back_to(fit)
            row(end.row(spent, f"{outcome}, lower than before: left out", kept=False))
            return False
        row(end.row(spent, outcome))
        return True
