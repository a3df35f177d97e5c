"""Where the first step starts: at the best independent normals over a few fixed draws."""

from __future__ import annotations

import logging

import jax
import numpy as np

from vi.algorithms.base import State
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.results.points import draw_with_density
from vi.approximation.steps.structured_start import structured_params, structured_start
from vi.families import Noncentred, Params, Structured
from vi.foundation.precision import precision
from vi.foundation.seeds import FIXED_DRAWS, generator_from, key_from
from vi.search.fixed_draws import FixedDrawsFit, NotFiniteError, Until, base_draws, fit_fixed_draws
from vi.targets.backends.evaluation import Evaluation, evaluation
from vi.targets.base import Target
from vi.targets.batches.search import has_batches

__all__ = ["can_warm_start", "searched", "warm_started"]

logger = logging.getLogger("vi")

DRAWS = 10
"""Fixed draws of the search, five pairs. With 30 its end is nearer and costs three times as much;
the steps after it take out what is left.
"""

ITERATIONS = 300
"""The most iterations; ridges of hierarchies take 100 to 220."""

FRESH = 100
"""Draws by which start and end of the search are compared: an ELBO that the fixed draws alone
believe in, in a singularity for example, is not gone to.
"""

NEAR = 0.1
"""Nats a dimension between evidence and ELBO of Laplace's approximation: then no search is made."""

LARGEST = 10**5
"""Dimensions beyond which L-BFGS's memory of 20 pairs would be larger than the rest of a fit."""


def can_warm_start(fit: FitState) -> bool:
    """Whether a search over fixed draws may come before the first step.

    Where a step sees all rows of data, and the loss is minus an ELBO of q with all
    parameters free. A flow begins as wide as it was: one that starts within a mode never leaves it.
    """
    algorithm, family = fit.algorithm, fit.family
    if algorithm is None or algorithm.entropy_weight is None or fit.local:
        return False
    training = fit.data.training
    if training.streamed or has_batches(fit.model, training.replacements.values()):
        return False
    # a flow's moments are estimates too
    if not (family.exact_moments or isinstance(family, Structured | Noncentred)):
        return False
    return fit.layout.dim <= LARGEST and all(map(family.trains, fit.start))


def warm_started(fit: FitState, target: Target, state: State) -> State:
    """The state before the first step, moved to the end of a search, unless that is worse.

    The search depends on the seed and on the start, and on nothing else: not on the steps that are
    planned, so that a run that goes on stays one longer run.

    Parameters
    ----------
    fit : FitState
        The record.
    target : Target
        The log density of the steps, of all rows.
    state : State
        The state before the first step.
    """
    algorithm = fit.algorithm
    assert algorithm is not None
    assert algorithm.entropy_weight is not None
    weight = algorithm.entropy_weight
    if isinstance(fit.family, Structured):
        params = _in_its_structure(fit, target, state.params, weight)
    else:
        params, _ = searched(fit, target, state.params, weight)
    if params is state.params:
        return state
    with precision(fit.dtype):
        return algorithm.init(params, state.key)


def _in_its_structure(fit: FitState, target: Target, start: Params, weight: float) -> Params:
    """Laplace's approximation in the family's pattern, or a search's end if that is better.

    There is no search where the approximation's ELBO is about the evidence that it finds.
    """
    assert isinstance(fit.family, Structured)
    found = structured_start(fit.family, target, mean_and_std(fit, start)[0])
    if found is None:
        return searched(fit, target, start, weight)[0]
    evaluate = evaluation(target, DRAWS)
    params = structured_params(fit.family, fit.dtype, found)
    before, after = (_elbo(fit, each, evaluate, weight) for each in (start, params))
    if after > before:
        logger.info(
            "Start at the ELBO %s, Laplace's approximation in the structure (%s gradients).",
            f"{after:,.6g}",
            f"{found.products:,}",
        )
        if weight == 1.0 and found.log_evidence - after < NEAR * target.dim:
            return params
        other, _ = searched(fit, target, start, weight)
        return other if _elbo(fit, other, evaluate, weight) > after else params
    return searched(fit, target, start, weight)[0]


def searched(
    fit: FitState, target: Target, start: Params, weight: float = 1.0, enough: float = 0.0
) -> tuple[Params, int]:
    """The end of a search, or the start where that is better; and the gradients that it took.

    Parameters
    ----------
    fit : FitState
        The record: its family, its seed and its precision.
    target : Target
        The log density of all rows.
    start : dict of arrays
        Parameters.
    weight : float
        The weight of the entropy.
    enough : float
        Nats: the search ends where its last iterations have gained less.
    """
    mean, std = mean_and_std(fit, start)
    noise = base_draws(generator_from(fit.seed, FIXED_DRAWS), DRAWS, target.dim)
    try:
        found = fit_fixed_draws(
            target, mean, std, noise, ITERATIONS, entropy_weight=weight, until=Until(enough)
        )
    except NotFiniteError:
        return start, DRAWS
    evaluate = evaluation(target, DRAWS)  # the search's own number, for which it is compiled
    params = _independent(fit, found)
    before, after = (_elbo(fit, each, evaluate, weight) for each in (start, params))
    gradients = found.evaluations * DRAWS
    if not after > before:  # both are -inf where q itself overflows
        return start, gradients
    logger.info(
        "Start at the ELBO %s, found by %s gradients over fixed draws.",
        f"{after:,.6g}",
        f"{gradients:,}",
    )
    return params, gradients


def _independent(fit: FitState, found: FixedDrawsFit) -> Params:
    """Parameters of the family's own start at these independent normals."""
    with precision(fit.dtype):
        mean, std = (jax.numpy.asarray(a, fit.dtype) for a in (found.mean, found.std))
        return fit.family.init(mean, std, key_from(fit.seed, FIXED_DRAWS))


def _elbo(fit: FitState, params: Params, evaluate: Evaluation, weight: float) -> float:
    """The ELBO from fresh draws, the same noise for all parameters; -inf if it is none."""
    with precision(fit.dtype):
        found = draw_with_density(fit.family, params, key_from(fit.seed, FIXED_DRAWS), FRESH)
    points, log_q = (part.astype(np.float64) for part in found)
    elbo = float(np.mean(evaluate(points)[0] - weight * log_q))
    return elbo if np.isfinite(elbo) else -np.inf
