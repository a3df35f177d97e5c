"""What a diagnosis measures of a fit, one thing after the other."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import reported_params
from vi.approximation.results.diagnosis_sizes import LEAST_CHAINS, Sizes
from vi.approximation.results.drawn_fit import SLOPED, DrawnFit, drawn_fit, elbo_of
from vi.approximation.results.image_fits import image_fits
from vi.approximation.results.mixture_parts import images_of_parts
from vi.approximation.results.one_period import wider_than_a_turn
from vi.approximation.results.other_fits import other_fits, restarts_of
from vi.approximation.results.wide_weights import Drawn, regular, wide_weights
from vi.diagnostics.diagnosis import shifts, weighted_errors, weighted_moments
from vi.diagnostics.discrepancy import relative_discrepancy
from vi.diagnostics.evidence import SMALL, Evidence
from vi.diagnostics.gradient import slope
from vi.diagnostics.importance import effective_size, smoothed
from vi.diagnostics.modes import Found, rival, table_of_modes
from vi.diagnostics.nudge import LEAPS, Nudged, nudge
from vi.diagnostics.parts import Parts
from vi.diagnostics.shape import shape
from vi.foundation.precision import precision
from vi.foundation.seeds import CHAIN_STARTS, FIRST_CHAINS, generator_from
from vi.search.tails import look_along_level, look_far, tail_along
from vi.targets.base import Target

__all__ = ["measured"]

CHANCE = 1e-3
"""How often the first chains may end it though nothing is wrong."""


def measured(record: FitState, rows: Target, target: Target, sizes: Sizes, seed: int) -> Evidence:
    """What is to be known of a fit for a verdict on it.

    Parameters
    ----------
    record : FitState
        The fit.
    rows : Target
        Log p, which weights read.
    target : Target
        The same, or what stands for it where rows are very many: what chains and other fits read.
    sizes : Sizes
        How many draws, chains and other fits.
    seed : int
        Seed of what is random.
    """
    fit = drawn_fit(record, rows, target, sizes, seed)
    finite = float(np.isfinite(fit.of_rows).mean())
    turns = wider_than_a_turn(fit.std, record.layout)
    known = Evidence(fit.table, finite=finite, turns=turns, skipped=sizes.skipped)
    known = _with_weights(fit, known)
    known = _with_tails(fit, known)
    if known.improper:
        return _without(known, "short chains, other fits: the posterior is improper")
    known = _with_wide_draws(fit, known)
    known = _with_slope(fit, known)
    known = _with_discrepancy(fit, known)
    known, settled = _with_chains(fit, known)
    known = _with_other_fits(fit, known, settled)
    return replace(known, table=fit.table)


def _with_weights(fit: DrawnFit, known: Evidence) -> Evidence:
    """The ELBO and importance weights, of a q with a density."""
    if fit.log_q is None:
        return _without(known, "importance weights: q has no density")
    count = len(fit.of_rows)
    points, log_q = fit.points[:count], fit.log_q[:count]
    elbo, error = elbo_of(fit.of_rows, log_q)
    known = replace(known, elbo=elbo, elbo_error=error)
    if known.finite < 0.5:
        return _without(
            known, "importance weights: log p is finite at fewer than half of the draws"
        )
    weights = smoothed(fit.of_rows, log_q)
    centre = (fit.mean, fit.std)
    if fit.rows is not fit.target:
        # of few draws the noise would be as large as what is looked for: only weights count
        centre = (points.mean(axis=0), points.std(axis=0))
    moved = shifts(*centre, *weighted_moments(points, weights))
    if fit.parts is not None:
        moved = fit.parts.moved_by_weights(points, weights.log_weights)
    fit.note("weights", *moved)
    return replace(known, weights=weights, table=fit.table)


def _with_tails(fit: DrawnFit, known: Evidence) -> Evidence:
    """How log p falls far from q; not of a mixture, whose sds are distances of components."""
    if fit.parts is not None or fit.record.local or not fit.finite.any():
        return known
    draw = fit.points[np.argmax(fit.finite)]
    if fit.answers is None:
        tail = look_far(fit.target, fit.mean, fit.std, fit.cov, draw)
    else:
        tail = tail_along(fit.target, fit.answers.rays, fit.answers.at_rays)
    if not tail.improper and fit.sizes.chains and not fit.target.in_passes:
        level = look_along_level(fit.target, fit.mean, fit.std, draw)
        tail = level if level.improper else tail
    if tail.improper and fit.rows is not fit.target:
        # some rows may leave open what all of them decide
        tail = look_far(fit.rows, fit.mean, fit.std, fit.cov, draw)
    if tail.improper:
        return replace(known, improper=tail.names, table=fit.table)
    return replace(known, tails=tail.moments)


def _with_wide_draws(fit: DrawnFit, known: Evidence) -> Evidence:
    """Importance weights of as many draws again that are wider than q, and of its own together.

    What is a tail to q's draws, or beyond all of them, is not to these.
    """
    if known.weights is None or fit.log_q is None:
        return known
    if fit.record.local:
        return _without(known, "draws wider than q: not with local variables")
    if fit.wide is None or fit.log_p_wide is None:
        return _without(known, "draws wider than q: it has no spread somewhere")
    count = fit.sizes.draws if fit.rows is fit.target else fit.sizes.wide
    own = Drawn(fit.points[:count], fit.log_p[:count], fit.log_q[:count])
    root = regular(fit.root, fit.std)
    found = wide_weights(fit.record, own, fit.wide, fit.log_p_wide, fit.mean, root)
    if found is None:
        return _without(known, "draws wider than q: no weight of theirs is finite")
    points, weights = found
    fit.note("wide", *shifts(fit.mean, fit.std, *weighted_moments(points, weights)))
    of_mean, of_sd = weighted_errors(points, weights)
    fit.note("wide_error", of_mean / fit.std, of_sd)
    beyond = np.exp(weights.log_weights[len(own.points) :])
    return replace(known, wide=weights, beyond=effective_size(beyond), table=fit.table)


def _with_slope(fit: DrawnFit, known: Evidence) -> Evidence:
    """The gradient of the ELBO; it counts where the fit has followed it."""
    algorithm = fit.record.algorithm
    followed = algorithm is not None and algorithm.has_elbo and algorithm.prior_weight == 1.0
    # of a fit that has not followed it the slope is shown, with its error, and decides nothing
    points = fit.points[fit.finite][: min(SLOPED if followed else LEAST_CHAINS, fit.sizes.wide)]
    if fit.log_q is None or len(points) < 2:
        return known
    if fit.parts is not None:
        return _without(known, "the slope of the ELBO: each component of a mixture has its own")
    if fit.answers is None:
        _, scores, gradients = fit.at_first(len(points))
    else:
        points, scores = fit.points[: len(fit.answers.scores)], fit.answers.scores
        gradients = len(points)
    usable = np.all(np.isfinite(scores), axis=1)
    known = replace(known, gradients=known.gradients + gradients)
    if usable.sum() < 2:
        return _without(known, "the slope of the ELBO: the score of log p is not finite")
    found = slope(points[usable], scores[usable], fit.mean, fit.std, fit.root)
    fit.note("slope", found.mean, found.sd)
    fit.note("slope_error", found.mean_error, found.sd_error)
    return replace(known, slope=found) if followed else known


def _with_discrepancy(fit: DrawnFit, known: Evidence) -> Evidence:
    """The kernel's discrepancy of particles."""
    if fit.log_q is not None:
        return known
    particles = np.asarray(reported_params(fit.record)["particles"], np.float64)
    _, scores = fit.evaluate(particles)
    if not np.all(np.isfinite(scores)):
        return _without(known, "kernel discrepancy: a score is not finite")
    with precision(fit.record.dtype):
        found = relative_discrepancy(particles, scores)
    return replace(known, discrepancy=found, gradients=known.gradients + len(particles))


def _with_chains(fit: DrawnFit, known: Evidence) -> tuple[Evidence, bool]:
    """Short chains, and whether the first of them have settled it."""
    chains, starts = fit.sizes.chains, fit.points[fit.finite][: fit.sizes.chains]
    if not chains:
        return known, False
    if len(starts) < chains:
        what = f"short chains: log p is finite at {fit.finite.mean():.0%} of the draws"
        return _without(known, what), True
    generator, first = generator_from(fit.seed, FIRST_CHAINS), starts[:LEAST_CHAINS]
    settled = brief = False
    # a mean that is clearly off leaves one verdict where the weights are not reliable, whatever
    # longer chains could find besides; where the weights say that all is well, and can say it more
    # exactly than chains, these need not be long unless they disagree
    if not known.reliable or (known.nearly_equal and fit.sizes.fewer_may_do):
        known, nudged = _nudged(fit, known, first, generator, leaps=1)
        mean_is_off, sd_is_off = _clearly_off(fit, nudged)
        settled = mean_is_off and not known.reliable
        brief = known.reliable and not (mean_is_off or sd_is_off)
    if not (settled or brief):
        generator = generator_from(fit.seed, CHAIN_STARTS)
        known, nudged = _nudged(fit, known, starts, generator)
    moved = shifts(fit.mean, fit.std, nudged.mean, nudged.std)
    if fit.parts is not None:
        moved = _moved_within(fit, fit.parts, starts, nudged)
    fit.note("chains", *moved)
    seen = shape(nudged.points.reshape(-1, fit.target.dim), fit.cov, fit.labels)
    return replace(known, nudged=nudged, brief=brief, shape=seen), settled


def _nudged(
    fit: DrawnFit,
    known: Evidence,
    starts: np.ndarray,
    generator: np.random.Generator,
    leaps: int = LEAPS,
) -> tuple[Evidence, Nudged]:
    """Short chains from the first draws, and their gradients counted."""
    *at_starts, gradients = fit.at_first(len(starts))
    nudged = nudge(fit.evaluate, starts, fit.unit_at(starts), generator, leaps, at_starts)
    return replace(known, gradients=known.gradients + gradients + nudged.gradients), nudged


def _moved_within(
    fit: DrawnFit, parts: Parts, starts: np.ndarray, nudged: Nudged
) -> tuple[np.ndarray, np.ndarray]:
    """How far chains move a mixture, whose components count as much as their evidence says."""
    which = parts.root_at(starts[: nudged.points.shape[1]]).which
    flat = nudged.points.reshape(-1, fit.target.dim).astype(fit.target.dtype)
    log_p = fit.target.log_prob(flat)
    return parts.moved_by_chains(nudged.points, which, log_p, fit.points, fit.log_p)


def _clearly_off(fit: DrawnFit, nudged: Nudged) -> tuple[bool, bool]:
    """Whether a mean, and an sd, has moved by more than passes and than noise explains."""
    means, sds = shifts(fit.mean, fit.std, nudged.mean, nudged.std)
    quantile = NormalDist().inv_cdf(1 - CHANCE / (2 * fit.target.dim))
    noise = quantile * np.maximum(nudged.std / fit.std, 1.0) / math.sqrt(LEAST_CHAINS)
    of_sds = quantile / math.sqrt(2 * LEAST_CHAINS)
    return bool(np.any(np.abs(means) > SMALL + noise)), bool(np.any(np.abs(sds) > SMALL + of_sds))


def _with_other_fits(fit: DrawnFit, known: Evidence, settled: bool) -> Evidence:
    """What other fits found, q's images and runs from several starts among them."""
    if fit.log_q is None:
        return known
    places = () if fit.parts is None else fit.parts.places
    # all fits by the same log p
    own = (known.elbo, known.elbo_error)
    own = own if fit.rows is fit.target else elbo_of(fit.log_p, fit.log_q)
    q = Found("q", *own, fit.mean, fit.std, places)
    others = restarts_of(fit.record, known.elbo, fit.target)
    if (fit.sizes.starts or fit.sizes.images) and settled:
        known = _without(known, "other fits: short chains had settled it")
    elif fit.sizes.images:
        others += _images(fit, fit.log_q)
    if fit.sizes.starts and not settled:
        more, gradients = other_fits(
            fit.record, fit.target, fit.seed, q, fit.sizes.starts, reliable=known.reliable
        )
        others += more
        known = replace(known, gradients=known.gradients + gradients)
    if not others:
        return known
    fits = [q, *others]
    return replace(
        known, modes=table_of_modes(fits, fit.labels), rival=rival(fits, fit.labels, SMALL)
    )


def _images(fit: DrawnFit, log_q: np.ndarray) -> list[Found]:
    """The images of q, or of a mixture's components."""
    usable = fit.finite & np.isfinite(log_q)
    drawn = (fit.points[usable], fit.log_p[usable], log_q[usable])
    if fit.parts is not None:
        return images_of_parts(fit.target, fit.parts, *drawn[:2])
    if fit.answers is None or not usable.all():
        return image_fits(fit.target, *drawn)
    return image_fits(fit.target, *drawn, fit.answers.candidates, fit.answers.at_candidates)


def _without(known: Evidence, what: str) -> Evidence:
    """With something more that was not measured."""
    return replace(known, skipped=(*known.skipped, what))
