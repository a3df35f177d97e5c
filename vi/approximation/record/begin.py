"""How a record begins: from what was asked for, and anew for each algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.algorithms import Algorithm, Descent, Gradient, State
from vi.algorithms.contract import check_contract, check_draws, check_optimizer_step
from vi.approximation.record.beginning import Beginning
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.groups import refuse_strangers
from vi.approximation.record.local_groups import (
    check_encoders,
    point_of_all_rows,
    split_start,
    with_local_groups,
    with_local_parts,
    with_weights,
)
from vi.approximation.record.local_plan import for_rows
from vi.approximation.record.parameters import reported_params
from vi.approximation.record.present_data import watch_data
from vi.families import Family, Product
from vi.families.contract import check_families
from vi.foundation.contracts import is_foreign
from vi.foundation.precision import precision
from vi.foundation.seeds import START, key_from, resolve_seed
from vi.graphs.compiling import one_at_a_time
from vi.targets.batches.search import has_batches
from vi.targets.model.initial_density import check_start
from vi.targets.model.labels import say_changed_labels
from vi.targets.model.start import not_given, start_point, start_std
from vi.targets.model.unconstrain import unconstrain

__all__ = ["begin", "begin_again", "with_algorithm"]


@one_at_a_time
def begin(
    beginning: Beginning,
    start: Mapping[str, Any] | None = None,
    start_sigma: Mapping[str, Any] | None = None,
    random_seed: Any = None,
) -> FitState:
    """The record before the first fit.

    Parameters
    ----------
    beginning : Beginning
        What was asked for.
    start, start_sigma : dict, optional
        Where q starts, and how wide; see :class:`vi.Approximation`.
    random_seed : int, optional
        Seed of everything random in the fit.

    Raises
    ------
    ValueError
        If a start value has an unknown name or a wrong shape, if groups do not cover the free
        variables once each, or if the log density at the start is not finite.
    """
    model, dtype = beginning.model, beginning.dtype
    groups = None if isinstance(beginning.family, Family) else beginning.family
    seed = resolve_seed(random_seed)
    given = start
    start, local_start = split_start(start, model, groups)
    point = start_point(model, start, seed)
    check_start(model, point)
    say_changed_labels(model)
    if isinstance(beginning.family, Family):
        family: Family = beginning.family
        layout, local = with_local_parts(model, family, point)
    else:
        refuse_strangers(model, beginning.family)
        layout, family, local = with_local_groups(model, beginning.family, point)
    std = start_std(model, layout, start_sigma, dtype, beginning.std)
    flat = layout.flatten(point_of_all_rows(model, layout, point, local_start), dtype)
    with precision(dtype):
        check_families(family, layout.dim, dtype)
        if beginning.draws is not None and start is None and start_sigma is None:
            points = unconstrain(model, layout, beginning.draws, dtype)
            params = {"particles": jax.numpy.asarray(points)}
        else:
            mean = jax.numpy.asarray(flat)
            params = family.init(mean, jax.numpy.asarray(std), key_from(seed, START))
            params = with_weights(local, params)
    record = FitState(
        beginning,
        family,
        layout,
        point,
        seed,
        params,
        free_mean=not_given(layout, given),
        given_std=np.where(not_given(layout, start_sigma), np.nan, std),
        local=local,
    )
    check_encoders(local, reported_params(record))
    watch_data(record)
    return record


@one_at_a_time
def begin_again(
    fit: FitState,
    start: Mapping[str, Any] | None = None,
    start_sigma: Mapping[str, Any] | None = None,
    random_seed: Any = None,
) -> FitState:
    """The record before the first fit, with the settings of the last one; see :func:`begin`."""
    return replace(
        begin(fit.beginning, start, start_sigma, random_seed),
        data=fit.data,
        backend=fit.backend,
        devices=fit.devices,
        callbacks=fit.callbacks,
        keep_losses=fit.keep_losses,
        include_transformed=fit.include_transformed,
    )


@one_at_a_time
def with_algorithm(fit: FitState, algorithm: Algorithm) -> FitState:
    """The record before an algorithm's first step: at the present iterate, counting on.

    Raises
    ------
    TypeError
        If variables are local and the algorithm cannot step on rows.
    ValueError
        If a step sees a batch and the algorithm is right with all rows only.
    """
    if isinstance(fit.family, Product) and all(part.frozen for part in fit.family.parts):
        raise ValueError(
            f"Every group is frozen ({', '.join(part.name for part in fit.family.parts)}), and "
            "there is nothing to fit: approx.unfreeze(...), or vi.Group(..., frozen=False)."
        )
    _check_batches(fit, algorithm)
    inner = algorithm
    algorithm = for_rows(fit, algorithm)
    with precision(fit.dtype):
        _check_strangers(fit, inner)
        if fit.run is None:
            # what was found in one go is the start, not a part of the run
            run = algorithm.init(fit.start, key_from(fit.seed))
            bare = replace(fit, losses=np.empty(0), losses_before=0, notes={})
            return replace(bare, algorithm=algorithm, run=run)
        run = algorithm.init(fit.run.params, fit.run.key)._replace(step=fit.run.step)
        return replace(fit, algorithm=algorithm, run=run, losses_before=len(fit.losses))


def _check_batches(fit: FitState, algorithm: Algorithm) -> None:
    """Refuse batches for steps that are not linear in log p: they would follow something else."""
    if algorithm.linear_in_log_p or fit.data.some_rows is not None:
        return
    training = fit.data.training
    replacements = training.replacements.values()
    if not (training.streamed or has_batches(fit.model, replacements)):
        return
    objective = getattr(algorithm, "objective", None)
    if objective is None and not is_foreign(algorithm):
        raise ValueError(
            f"The algorithm {algorithm.short_name!r} compares scores of all rows, and a step would "
            "see a batch. Fit all rows; or method='fullrank_advi' or 'auto', which take batches."
        )
    what = (
        f"algorithm {algorithm.short_name!r}"
        if objective is None
        else f"objective {objective.short_name!r}"
    )
    if objective is not None and not is_foreign(objective):
        raise ValueError(
            f"The {what} takes the logarithm of an average of p / q, and a step would see a batch: "
            "of noisy log p that is another bound, not an estimate of this one. Fit all rows, or "
            "use an estimator of the ELBO (leave estimator= out)."
        )
    raise ValueError(
        f"The {what} does not say that it is linear in log p, and a step would see a batch: with "
        "N / B times the log likelihood of a batch in the place of all rows' it would go "
        "elsewhere. Fit all rows, or use an estimator of the ELBO; if it is linear, say so in its "
        "class: linear_in_log_p = True."
    )


def _check_strangers(fit: FitState, algorithm: Algorithm) -> None:
    """Look at parts that users have written, before a step of theirs is compiled."""
    objective = getattr(algorithm, "objective", algorithm)
    if isinstance(algorithm, Descent) and is_foreign(algorithm.optimizer):
        blank = State(fit.start, (), (), key_from(fit.seed), jax.numpy.zeros((), np.uint32))
        check_optimizer_step(algorithm, blank)
    if fit.local or not is_foreign(algorithm, objective, fit.family):
        return
    state = algorithm.init(fit.start, key_from(fit.seed))
    check_contract(algorithm, state, fit.layout.dim)
    if isinstance(algorithm, Gradient) and is_foreign(objective):
        check_draws(algorithm.objective, algorithm.family, state.params, algorithm.noises(state))
