"""Whether a run that ended by itself ended in nonsense, and what is reported then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vi.algorithms import Gradient
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import averaged_params, dense_covariance, mean_and_std
from vi.approximation.steps.endless import ADVICE as WITHOUT_A_MODE
from vi.approximation.steps.endless import endless
from vi.approximation.steps.settled import unsettled
from vi.diagnostics.doubts import about_losses, about_normal, about_widths
from vi.diagnostics.losses import recent, still_falling
from vi.diagnostics.status import Status
from vi.families import FullRank
from vi.families.point import point_entries
from vi.objectives import ClosedFormEntropy, MonteCarlo, StickingTheLanding
from vi.targets.batches.search import has_batches
from vi.training.best import Best
from vi.training.run import Run

__all__ = ["doubted"]

ENDINGS = ("max_steps", "converged", "stopped")
"""What is looked at: the others say already that a run did not end by itself."""

LARGEST_DENSE = 256
"""Dimensions up to which the eigenvalues of a covariance are looked at."""

ADVICE = (
    "Another start (start, restarts=8), more draws a step (obj_n_mc), smaller steps "
    "(obj_optimizer) or tighter priors usually help; so does vi.fit(method='laplace') as the start "
    "of vi.KLqp(...)."
)


SETTLE = (
    "steps are too long for q to settle, or have not arrived. A smaller rate, more steps, or the "
    "default optimiser help (no obj_optimizer=); approx.diagnose() says how far q is off."
)

OF_ONE_DRAW = (ClosedFormEntropy, StickingTheLanding, MonteCarlo)
"""Objectives whose loss is a mean over single draws, without a bound of several."""


def doubted(fit: FitState, status: Status, best: Best | None, run: Run) -> tuple[FitState, Status]:
    """Record and status; at the best state that was seen, and ``unreliable``, if the end is none.

    Parameters
    ----------
    fit : FitState
        The record at the end of the run, its trace whole.
    status : Status
        How the run ended.
    best : Best, optional
        The best state of the run, where it was looked for.
    run : Run
        The run, with its data.
    """
    if status.ending not in ENDINGS or fit.local:
        return fit, status
    what, advice = _fault(fit, None if best is None else best.lowest), ADVICE
    if not what:
        if bound := endless(fit):
            told = f"{bound}; what is reported is where the steps ended. {WITHOUT_A_MODE}"
            return fit, Status("unreliable", status.step, told)
        what, wild = _widths(fit)
        if not wild:
            moves, wild = unsettled(fit, run)
            what = " and ".join(filter(None, (what, moves)))
        advice = SETTLE
        if not what:
            return fit, status
        # far from the optimum losses vary whatever the widths, and the status says that they fall
        if not wild or still_falling(fit.own_losses):
            said = f"{status.message.rstrip(' .')}. But {what}: {advice}"
            return fit, replace(status, message=said)
    kept = "what is reported is the end."
    if best is not None and best.state is not None and best.step < status.step:
        assert fit.run is not None
        # on with the step count: noise and rows of the steps to come are new ones
        fit = replace(fit, run=best.state._replace(step=fit.run.step))
        kept = (
            f"what is reported, and where refine() goes on, is the state after step {best.step:,}."
        )
    advice = advice[0].upper() + advice[1:]
    return fit, Status("unreliable", status.step, f"{what}; {kept} {advice}")


def _widths(fit: FitState) -> tuple[str, bool]:
    """What the spread of the losses says of q's widths; of losses of all rows alone."""
    algorithm, training = fit.algorithm, fit.data.training
    if not isinstance(algorithm, Gradient) or not isinstance(algorithm.objective, OF_ONE_DRAW):
        return "", False
    if (algorithm.entropy_weight, algorithm.prior_weight) != (1.0, 1.0):
        return "", False
    # of batches the rows vary too, and by more
    if training.streamed or has_batches(fit.model, training.replacements.values()):
        return "", False
    dim = fit.layout.dim - len(point_entries(fit.family, fit.layout.dim))
    draws = algorithm.n_draws // 2 if algorithm.antithetic else algorithm.n_draws
    return about_widths(recent(fit.own_losses), dim, draws, isinstance(fit.family, FullRank))


def _fault(fit: FitState, lowest: tuple[float, float] | None) -> str:
    """What speaks against the end of a run, if anything does."""
    eps = float(np.finfo(fit.dtype).eps)
    has_elbo = fit.algorithm is not None and fit.algorithm.has_elbo
    what = about_losses(recent(fit.own_losses), eps, lowest) if has_elbo else ""
    if what:
        return what
    if not fit.family.exact_moments or not fit.family.has_density:
        return ""
    params = averaged_params(fit)
    mean, std = mean_and_std(fit, params)
    # points have no width that could be too small
    wide = np.setdiff1d(np.arange(fit.layout.dim), point_entries(fit.family, fit.layout.dim))
    mean, std, correlation = mean[wide], std[wide], None
    if fit.family.pairs_in_batches and fit.layout.dim <= LARGEST_DENSE:
        with np.errstate(all="ignore"):
            covariance = dense_covariance(fit, params)[np.ix_(wide, wide)]
            correlation = covariance / np.outer(std, std)
        correlation = correlation if np.isfinite(correlation).all() else None
    what, where = about_normal(mean, std, correlation, eps)
    return f"{what} in {fit.layout.describe(wide[where])}" if what else ""
