"""From measurements of a fit to the verdict on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vi.diagnostics.diagnosis import Diagnosis, Verdict
from vi.diagnostics.evidence import ENOUGH, SMALL, Evidence, Shift
from vi.diagnostics.modes import Rival

__all__ = ["judged"]

ALL_BUT = 0.99
"""The share of draws at which log p must be finite."""

COLLAPSED = 10.0
"""How many times wider a better fit is, somewhere, than one that is said to have collapsed."""


class _Judgement(NamedTuple):
    """A verdict, what it rests on, and what to do next."""

    verdict: Verdict
    why: str
    advice: str


def judged(evidence: Evidence) -> Diagnosis:
    """The diagnosis that measurements give."""
    if evidence.improper:
        found = _improper(evidence.improper)
    elif evidence.turns:
        found = _Judgement(
            "do not use",
            f"q is wider than a turn in {evidence.turns}: so little is known of an angle that no "
            "normal has its posterior",
            "pm.sample(); or another parametrisation, by the sine and the cosine, say.",
        )
    elif evidence.finite < ALL_BUT:
        found = _Judgement(
            "do not use",
            f"log p is not finite at {1 - evidence.finite:.1%} of the draws of q",
            "Fit on, or from another start; method='laplace' finds one.",
        )
    elif evidence.rival is not None:
        found = _elsewhere(evidence.rival)
    elif evidence.nudged is None:
        found = _without_chains(evidence)
    else:
        found = _moved(evidence)
    weights, nudged = evidence.weights, evidence.nudged
    return Diagnosis(
        *found,
        evidence.elbo,
        evidence.elbo_error,
        np.nan if weights is None else weights.k,
        np.nan if weights is None else weights.ess,
        evidence.table,
        np.nan if nudged is None else nudged.accepted,
        evidence.gradients,
        tuple(evidence.skipped),
        evidence.discrepancy,
        evidence.modes,
        "" if evidence.rival is None else evidence.rival.name,
        evidence.improper,
        evidence.tails,
        evidence.beyond if evidence.reaches else np.nan,
    )


def _improper(names: str) -> _Judgement:
    """What there is to say of a posterior that is none."""
    return _Judgement(
        "do not use",
        f"improper: log p does not fall along {names}, however far from the fit; the posterior has "
        "no integral there, and nothing can be said of it",
        f"A proper prior on {names}, pm.Normal in place of pm.Flat, say; where classes are "
        "separated or predictors are the same, data alone do not make it proper.",
    )


def _elsewhere(rival: Rival) -> _Judgement:
    """What another fit says: there is mass where q is not."""
    place = f"{rival.distance:.2g} sds of q away in {rival.where}"
    if not rival.ahead:
        return _Judgement(
            "means only" if rival.mean < SMALL else "do not use",
            f"multimodal, or a ridge: {rival.name} is {place}, its ELBO {rival.gap:+.2g} nats",
            "One fit a mode, draws weighted by the ELBOs; a flow ('nfvi'); or constraints that "
            "leave one mode (an order, a sign).",
        )
    collapsed = rival.narrower > COLLAPSED
    why = "collapsed" if collapsed else "not converged, or at a lesser mode"
    return _Judgement(
        "do not use",
        f"{why}: {rival.name} has an ELBO {rival.gap:.3g} nats higher, {place}",
        "Start there, diagnosis.modes has its means; several starts (restarts=8); or another "
        f"parametrisation of {rival.where}.",
    )


def _without_chains(evidence: Evidence) -> _Judgement:
    """What can be said where no chains were run: what weights know by themselves."""
    advice = "diagnose(chains=64) does, with the noise of so many."
    if evidence.some_rows:
        advice = "diagnose(rows='all') weighs draws by all rows, in one pass over them."
    if evidence.unfinished:
        return _Judgement("do not use", *_because(evidence))
    if evidence.weights is None:
        return _Judgement("do not use", "neither weights nor short chains have looked", advice)
    means, sds, share = evidence.largest("mean"), evidence.largest("sd"), evidence.share
    if evidence.nearly_equal and evidence.reaches:
        why = f"weights move no mean or sd by more than {max(means.size, sds.size):.2f}"
        return _Judgement(
            "good", f"{why}, {share:.0%} of the draws count; no short chains have looked", ""
        )
    if evidence.reliable and evidence.reaches and evidence.agrees:
        what = _worst(means, sds) or f"the shape, {1 - share:.0%} of the draws have no weight"
        return _Judgement(
            "usable with importance resampling",
            f"weights say what is wrong, and those of wider draws agree: {what}; no short chains "
            "have looked",
            "sample(draws, resample='psis') draws by the weights.",
        )
    usable = evidence.reliable and means.size < SMALL
    why = "no short chains have looked at it"
    if not evidence.reliable:
        why = f"the weights are not reliable (k = {evidence.weights.k:.2g}), and {why}"
    return _Judgement("means only" if usable else "do not use", why, advice)


def _moved(evidence: Evidence) -> _Judgement:
    """What weights and chains say."""
    means, sds = evidence.largest("mean"), evidence.largest("sd")
    share, weights = evidence.share, evidence.weights
    right = means.size < SMALL and sds.size < SMALL and share >= ENOUGH
    if right and not evidence.covered:
        return _Judgement(
            "means only",
            "chains move nothing, but weights that cannot be relied on do: there may be mass that "
            "draws of q hardly reach",
            "Chains from it: approx.sample_mcmc(), or vi.fit(model), which has them as a stage.",
        )
    if right:
        who = "chains and weights" if evidence.reliable else "chains"
        who = "weights" if evidence.brief else who  # brief chains only have to agree
        why = f"{who} move no mean or sd by more than {max(means.size, sds.size):.2f}"
        if evidence.brief:
            why += f", {share:.0%} of the draws count; short chains agree"
        if weights is not None and not evidence.reliable:
            tails = "wider draws are" if evidence.reaches else "tails are not checked"
            why += f"; the weights are not reliable (k = {weights.k:.2g}), {tails}"
        return _Judgement("good", why, "")
    if evidence.reliable and evidence.agrees:
        what = _worst(means, sds) or f"the shape, {1 - share:.0%} of the draws have no weight"
        return _Judgement(
            "usable with importance resampling",
            f"weights and chains agree on what is wrong: {what}",
            "sample(draws, resample='psis') draws by the weights.",
        )
    reason, advice = _because(evidence)
    verdict: Verdict = "means only" if means.size < SMALL else "do not use"
    why = _worst(means, sds) or "weights and chains disagree"
    return _Judgement(verdict, f"{why} ({reason})" if reason else why, advice)


def _because(evidence: Evidence) -> tuple[str, str]:
    """The reason, where one is seen, and what to do about it."""
    if evidence.unfinished:
        return f"not converged, the ELBO rises along {evidence.unfinished}", (
            "More steps; 'dadvi' where stochastic ones stay behind, several starts (restarts=8)."
        )
    richer = "A richer family: 'fullrank_advi' after mean field, 'nfvi' after a normal"
    if evidence.shape.startswith("a funnel"):
        return evidence.shape, (
            "Another parametrisation: offsets times the scale, in place of values with that scale; "
            "or 'nfvi'."
        )
    if evidence.shape.startswith("a heavy tail"):
        return evidence.shape, f"{richer}; or a base with tails, vi.families.StudentT()."
    if evidence.shape.startswith("correlated"):
        return evidence.shape, f"{richer}; approx.cov_lr() has the covariance of mean field."
    return "", f"{richer}; or another parametrisation of what is named."


def _worst(means: Shift, sds: Shift) -> str:
    """The worst shifts in words."""
    words = []
    if means.size >= SMALL:
        words.append(f"the mean of {means.where} is off by {means.size:.2g} sds of q")
    if sds.size >= SMALL:
        verb = "" if words else "is off "
        factor = np.exp(min(sds.size, 20.0))
        words.append(f"the sd of {sds.where} {verb}by a factor of {factor:.2g}")
    return ", ".join(words)
