"""The stage of several modes: a normal at each, and the mixture of these normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std, reported_params
from vi.approximation.results.diagnosis_sizes import DRAWS
from vi.approximation.results.mixture_parts import log_parts_at
from vi.approximation.results.points import draw
from vi.auto.check import check
from vi.auto.ground import Ground
from vi.auto.look import NOISE
from vi.auto.match import matching
from vi.auto.mixture_weights import gain, mixture_weights
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.modes import Found, is_apart
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import FullRank, Mixture, Params
from vi.foundation.precision import precision
from vi.foundation.seeds import STAGES, derived_seed

__all__ = ["mixture", "places"]

MOST = 8
"""Modes that are looked at."""

ROUNDS = 3
"""How often a mixture is made: the verdict on one may know of further modes."""

LEAST = 1e-4
"""The smallest weight of a component that is kept."""


def mixture(ground: Ground, found: Diagnosis) -> Diagnosis:
    """Grow a mixture of the normals at several modes while there are more; the last verdict.

    Parameters
    ----------
    ground : Ground
        The fit.
    found : Diagnosis
        The verdict on what it holds, whose table of modes says where to look.
    """
    for _ in range(ROUNDS):
        before = ground.fit
        if not found.rival or ground.stopped or not ground.goes_on():
            break
        with ground.stage("mixture", "a normal at each of several modes") as write:
            held = _held(ground)
            others, gradients = _matched(ground, places(found, [place for place, _ in held]), held)
            ground.back_to(before)
            row = Stage("", outcome="the other places lead to where q is", kept=False)
            if others and not ground.stopped:
                row = _mixed(ground, [params for _, params in (*held, *others)])
            write(replace(row, gradients=gradients))
        if ground.fit.start is before.start:
            ground.approx.keep(found, ground.fit)
            break
        found = check(ground)
    return found


def places(found: Diagnosis, held: Sequence[Found]) -> list[Found]:
    """What a verdict's table of modes has at places beside those that are held, the best first."""
    if found.modes is None:
        return []
    columns = (found.modes[f"mode_{w}"].to_numpy() for w in ("elbo", "elbo_error", "mean", "sd"))
    fits = [Found("", *row) for row in zip(*columns, strict=True)][1:]  # the first one is q
    chosen: list[Found] = []
    for fit in sorted(fits, key=lambda fit: -np.nan_to_num(fit.elbo, nan=-np.inf)):
        known = len(held) + len(chosen) < MOST and np.isfinite(fit.elbo)
        if known and all(is_apart(fit, other) for other in (*held, *chosen)):
            chosen.append(fit)
    return chosen


def _held(ground: Ground) -> list[tuple[Found, Params]]:
    """The normals that the fit is made of: one, or the components of a mixture."""
    fit, family, params = ground.fit, FullRank(), reported_params(ground.fit)
    if fit.family == family:
        normals = [params]
    elif isinstance(fit.family, Mixture):
        each = fit.family.parts(params)
        normals = [{n: v[k] for n, v in each.items()} for k in range(fit.family.components)]
    else:
        normals = [ground.at(family, *mean_and_std(fit))]
    whole = replace(fit, family=family)
    return [(Found("", np.nan, np.nan, *mean_and_std(whole, one)), one) for one in normals]


def _matched(
    ground: Ground, there: Sequence[Found], held: Sequence[tuple[Found, Params]]
) -> tuple[list[tuple[Found, Params]], int]:
    """Full-rank normals at places, but for those that come to one that is there; gradients.

    Where matched scores end below their start, by the ELBO, the start takes their place.
    """
    family, (algorithm, n) = FullRank(), matching(ground)
    normals: list[tuple[Found, Params]] = []
    gradients = 0
    for place in there:
        if ground.stopped or ground.deadline.passed() or gradients >= ground.left:
            break
        params = ground.at(family, place.mean, place.std)
        try:
            gradients += ground.steps(family, params, algorithm, n) * algorithm.n_draws
            look = ground.look()
            moved = Found("", look.elbo, look.error, *mean_and_std(ground.fit))
            if look.elbo >= place.elbo - NOISE * np.nan_to_num(np.hypot(look.error, place.error)):
                place, params = moved, reported_params(ground.fit)
        except DivergedError:
            gradients += n * algorithm.n_draws
        if all(is_apart(place, other) for other, _ in (*held, *normals)):
            normals.append((place, params))
    return normals, gradients


def _mixed(ground: Ground, components: Sequence[Params]) -> Stage:
    """Hold the mixture of normals, if it is better than what is held; what is told of it.

    The components of what is held come first. Weights and ELBOs come of different draws, so that
    weights which are wrong show.
    """
    fit, seed = ground.fit, derived_seed(ground.fit.seed, STAGES)
    log_p, log_parts = _at_draws(fit, components, derived_seed(seed, 1))
    if not np.any(np.isfinite(log_p)):
        return Stage("", outcome="log p is finite at no draw of the modes", kept=False)
    weights, k = mixture_weights(np.concatenate(log_p), np.concatenate(log_parts))
    weights = np.where(weights >= LEAST, weights, 0.0) / weights[weights >= LEAST].sum()
    kept = [int(i) for i in np.flatnonzero(weights)]
    if len(kept) < 2:
        return Stage("", pareto_k=k, outcome="one mode has all the mass", kept=False)
    before = np.zeros(len(components))
    own = np.asarray(reported_params(fit)["log_weights"]) if _is_mixture(fit) else np.zeros(1)
    before[: len(own)] = np.exp(own - np.logaddexp.reduce(own))
    more, error = gain(*_at_draws(fit, components, derived_seed(seed, 2)), weights, before)
    told = ", ".join(f"{weight:.3g}" for weight in weights[kept])
    outcome = f"{len(kept)} normals of weights {told}: ELBO {more:+.3g} +- {error:.1g}"
    if not more > NOISE * error:
        return Stage("", pareto_k=k, outcome=f"{outcome}, left out", kept=False)
    family, params = _of_weights(fit, [components[i] for i in kept], weights[kept])

    def held(fit: FitState) -> FitState:
        notes = {"algorithm": "batch_and_match", "loss": "that of the stages before the mixture"}
        new = replace(fit, family=family, start=params, run=None, algorithm=None, notes=notes)
        return replace(new, free_mean=None, given_std=None)

    ground.approx.change(held)
    return ground.look().row(0, outcome)


def _is_mixture(fit: FitState) -> bool:
    return isinstance(fit.family, Mixture)


def _of_weights(
    fit: FitState, components: Sequence[Params], weights: np.ndarray
) -> tuple[Mixture, Params]:
    """The mixture of normals."""
    family = Mixture(FullRank(), len(components))
    with precision(fit.dtype):
        return family, family.joined(jnp.asarray(weights, fit.dtype), components)


def _at_draws(
    fit: FitState, components: Sequence[Params], seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """At draws of each normal log p ``(S,)``, and the log densities of all ``(S, K)``."""
    count, target = len(components), target_of_all_rows(fit)
    family, params = _of_weights(fit, components, np.full(count, 1.0 / count))
    log_p, log_parts = [], []
    for number, one in enumerate(components):
        points, _ = draw(FullRank(), one, derived_seed(seed, number + 1), DRAWS, fit.dtype)
        log_p.append(np.asarray(target.log_prob(points), np.float64))
        log_parts.append(log_parts_at(family, params, points, fit.dtype) + np.log(count))
    return log_p, log_parts
