"""The stage after the structure's own: globals that are no normal, drawn by importance weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.results.diagnose import diagnose
from vi.approximation.results.diagnosis_sizes import CHAINS
from vi.approximation.steps.in_one_go import settled
from vi.auto.ground import Ground
from vi.diagnostics.diagnosis import Diagnosis, by_coordinate, shifts
from vi.diagnostics.evidence import SMALL, Shift
from vi.diagnostics.stages import Stage
from vi.families import Particles, Structured
from vi.foundation.seeds import INTEGRATED
from vi.inference.integrated_laplace import in_words
from vi.search.integrated import Integrated, integrated
from vi.search.marginal_laplace import NoSummitError, marginal_laplace

__all__ = ["integrate"]

MOST_GLOBALS = 12
"""Globals up to which importance weights of theirs are tried."""

LARGEST = 2_000
"""Dimensions up to which they are tried: each takes a search over all others."""

LEAST_GRADIENTS = 100_000
"""About what it takes: some thousand draws of the globals, ten to a hundred products for each."""

DRAWS = 2_000
"""Draws that are kept."""

ERRORS = 2.0
"""Standard errors of an sd of short chains that pass, where weights have decided."""

FEWEST = 400
"""Effective draws that they have to come from, as many as are asked of chains."""


def integrate(ground: Ground, found: Diagnosis) -> Diagnosis:
    """Draw the globals by weights, from a fit in the structure; the last verdict, this or before.

    The draws take the place of the fit where the weights can be relied on, and the others are
    normal given the globals, or are weighed too and short chains agree. A fit that is good stays
    where the globals' moments are those of the draws. Not where there is another mode, or no
    posterior, nor where budget and time leave too little.
    """
    fit = ground.fit
    family = fit.family
    if not isinstance(family, Structured) or not 0 < len(family.globals) <= MOST_GLOBALS:
        return found
    if fit.layout.dim > LARGEST or found.rival or found.improper:
        return found
    if ground.affordable < LEAST_GRADIENTS:
        return found
    what = "the globals by importance weights, all others given them"
    with ground.stage("integrate", what) as write:
        target, mean = target_of_all_rows(fit), mean_and_std(fit)[0]
        try:
            laplace = marginal_laplace(target, family, np.asarray(mean, np.float64))
            left = ground.affordable - laplace.products
            drawn = integrated(target, family, laplace, DRAWS, (fit.seed, INTEGRATED), left)
        except NoSummitError as error:
            write(Stage("", outcome=f"left out: {error}", kept=False))
            return found
        spent = laplace.products + drawn.products
        kept = drawn.weights.reliable and drawn.weights.ess >= FEWEST
        kept &= drawn.others != "normal" and not drawn.missed
        outcome = in_words(drawn)
        if found.verdict == "good":
            off = _off(fit, family.globals, drawn) if kept else Shift(0.0, "")
            kept = off.size >= SMALL
            if kept:
                why = f"weights of the globals put {off.where} elsewhere, by {off.size:.2f}"
                found = replace(found, verdict="do not use", why=why)
            else:
                outcome += " The fit stays."
        if kept:
            verdict = _verdict(fit, drawn, spent)
            ground.approx.change(lambda now: _held(now, drawn))
            if drawn.others != "exact":
                verdict = _looked_at(ground, verdict, drawn.points)
            kept = verdict.verdict == "good"
            spent = verdict.gradients
            found = verdict if kept else found
            if not kept:
                ground.back_to(fit)
            ground.approx.keep(found, ground.fit)
        write(Stage("", pareto_k=drawn.weights.k, gradients=spent, outcome=outcome, kept=kept))
    return found


def _looked_at(ground: Ground, verdict: Diagnosis, points: np.ndarray) -> Diagnosis:
    """The verdict, if short chains that begin at the draws move nothing.

    Weights are of places that candidates reach. Where the others have tails or further modes given
    the globals, weights of normal draws do not know of them.
    """
    fit = ground.fit
    seen = diagnose(fit, random_seed=fit.seed)
    judged, why, advice = seen.verdict, seen.why, seen.advice
    if judged == "means only" and not seen.rival and _is_noise(points, seen):
        judged, why, advice = "good", "chains move no mean, and no sd by more than their noise", ""
    return replace(
        verdict,
        verdict=judged,
        why=f"{verdict.why}; {why}",
        advice=advice,
        gradients=verdict.gradients + seen.gradients,
        table=seen.table,
        skipped=seen.skipped,
        acceptance=seen.acceptance,
        discrepancy=seen.discrepancy,
    )


def _off(fit: FitState, globals_: Sequence[int], drawn: Integrated) -> Shift:
    """The largest distance of a mean of the globals, in sds of the draws, or of a log sd."""
    at = np.asarray(globals_)
    (mean, std), z = mean_and_std(fit), drawn.points[:, at]
    off = np.abs(np.stack(shifts(z.mean(axis=0), z.std(axis=0), mean[at], std[at])))
    what, which = np.unravel_index(int(np.argmax(off)), off.shape)
    name = f"the {('mean', 'sd')[what]} of {fit.layout.label(int(at[which]))}"
    return Shift(float(off[what, which]), name)


def _is_noise(points: np.ndarray, seen: Diagnosis) -> bool:
    """Whether chains move sds by no more than passes and so few of them are off by chance.

    The scale of effects has a long tail, of which 256 chains meet a few more or less.
    """
    off = (points - points.mean(axis=0)) / points.std(axis=0)
    noise = np.sqrt(((off**4).mean(axis=0) - 1) / (4 * CHAINS))
    moved = np.abs(seen.table["chains_sd"].to_numpy())
    return bool(np.all(moved < SMALL + ERRORS * noise))


def _verdict(fit: FitState, drawn: Integrated, spent: int) -> Diagnosis:
    mean, std = drawn.points.mean(axis=0), drawn.points.std(axis=0)
    return Diagnosis(
        verdict="good",
        why=in_words(drawn).removesuffix("."),
        advice="",
        elbo=np.nan,
        elbo_error=np.nan,
        pareto_k=drawn.weights.k,
        importance_ess=drawn.weights.ess,
        table=by_coordinate({"mean": mean, "sd": std}, fit.layout.labels),
        acceptance=np.nan,
        gradients=spent,
        skipped=("the density: weighed draws have none",),
        tails="" if fit.diagnosis is None else fit.diagnosis.tails,
    )


def _held(fit: FitState, drawn: Integrated) -> FitState:
    """The record with the draws, whose steps were those of the stages before."""
    notes = {
        "algorithm": "integrated_laplace",
        "loss": "that of the stages before",
        "others": drawn.others,
        "log_evidence": drawn.log_evidence,
        "log_evidence_error": drawn.error,
        "pareto_k": drawn.weights.k,
        "importance_ess": drawn.weights.ess,
    }
    bare = replace(fit, family=Particles(len(drawn.points)), resample=None)
    return settled(bare, {"particles": drawn.points}, fit.losses, fit.status, notes)
