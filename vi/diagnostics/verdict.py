"""From measurements of a fit to the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from vi.diagnostics.diagnosis import Diagnosis, Verdict
from vi.diagnostics.gradient import Slope
from vi.diagnostics.importance import EQUAL, Weights
from vi.diagnostics.modes import Rival
from vi.diagnostics.nudge import Nudged

__all__ = ["ENOUGH", "SMALL", "Evidence", "judged"]

SMALL = 0.2
"""Shifts, in standard deviations and of log sds, that pass.

Of 135 fits of 26 posteriors of posteriordb (2026-11-29: mean field, full rank, Laplace, DADVI, and
full rank stopped after 300 steps) none with an error above 0.3 passes, and all 29 with errors below
0.1 do; at 0.3 the first wrong one passes.
"""

ENOUGH = 0.5
"""The least share of effective draws: moments can agree where the shape does not, as those of one
normal over two modes do, a third of whose draws count."""

ALL_BUT = 0.99
"""The share of draws at which log p must be finite."""

FINITE = 0.5
"""Pareto k up to which the weights have a variance."""

COLLAPSED = 10.0
"""How many times wider a better fit is, somewhere, than one that is said to have collapsed."""


@dataclass(frozen=True)
class Evidence:
    """What was measured of a fit.

    Parameters
    ----------
    table : xarray.Dataset
        As in :class:`Diagnosis`.
    finite : float
        Share of the draws at which log p is finite.
    elbo, elbo_error : float
        The ELBO and its standard error.
    weights : Weights, optional
        Importance weights, where there are some.
    wide : Weights, optional
        Those of q's draws together with wider ones.
    nudged : Nudged, optional
        Short chains, where there were some.
    brief : bool
        Whether these were few and short, and only had to agree with the weights within their noise.
    slope : Slope, optional
        The ELBO's gradient, of a fit that follows it.
    rival : Rival, optional
        Another fit that says something against this one.
    modes : xarray.Dataset, optional
        The other fits.
    shape : str
        What chains show of p that q has not.
    discrepancy : float
        Of particles.
    gradients : int
        Gradients that it took.
    skipped : sequence of str
        What was not measured.
    """

    table: xr.Dataset
    finite: float = 1.0
    elbo: float = np.nan
    elbo_error: float = np.nan
    weights: Weights | None = None
    wide: Weights | None = None
    nudged: Nudged | None = None
    brief: bool = False
    slope: Slope | None = None
    rival: Rival | None = None
    modes: xr.Dataset | None = None
    shape: str = ""
    discrepancy: float = np.nan
    gradients: int = 0
    skipped: Sequence[str] = ()

    @property
    def reliable(self) -> bool:
        """Whether there are weights that can be relied on."""
        return self.weights is not None and self.weights.reliable

    @property
    def share(self) -> float:
        """The share of draws that count under the weights, 1 where these say nothing."""
        if self.weights is None or not self.reliable:
            return 1.0
        return self.weights.ess / len(self.weights.log_weights)

    @property
    def nearly_equal(self) -> bool:
        """Whether the weights say that all is well, and know it better than short chains can.

        They have a variance, half of the draws and more count, and they move nothing by half of
        what passes.
        """
        if self.weights is None or not self.reliable or self.share < ENOUGH:
            return False
        equal = self.weights.k <= FINITE or self.share >= EQUAL
        return equal and self._moved_by("weights", "wide") < SMALL / 2

    @property
    def covered(self) -> bool:
        """Whether nothing speaks for mass that q's draws hardly reach.

        Weights that can be relied on, those of wider draws among them, are counted with chains.
        Others can at least speak against a fit: what chains do not reach may have most of the mass.
        """
        if self.weights is None or (self.wide is not None and self.wide.reliable):
            return True
        if self._moved_by("wide") >= SMALL:
            return False
        share = self.weights.ess / len(self.weights.log_weights)
        return self.reliable or (share >= ENOUGH and self._moved_by("weights") < SMALL)

    def _moved_by(self, *sources: str) -> float:
        """The largest shift of a mean or an sd by what was measured of these."""
        columns = [f"{source}_{what}" for source in sources for what in ("mean", "sd")]
        known = [np.abs(self.table[c].to_numpy()).max() for c in columns if c in self.table]
        return float(max(known, default=0.0))

    def largest(self, what: str) -> _Shift:
        """The largest shift of ``"mean"`` or ``"sd"`` that weights or chains see."""
        chains = self.nudged is not None and not self.brief
        wide = self.wide is not None and self.wide.reliable
        there = {"weights": self.reliable, "wide": wide, "chains": chains}
        sources = [kind for kind, is_there in there.items() if is_there]
        return _largest(self.table, [f"{kind}_{what}" for kind in sources])

    @property
    def unfinished(self) -> str:
        """Where the ELBO still has a slope, if it has."""
        if self.slope is None or self.slope.certain.max() < SMALL:
            return ""
        worst = int(np.argmax(self.slope.certain))
        return str(self.table["unconstrained"].to_numpy()[worst])


class _Judgement(NamedTuple):
    """A verdict, what it rests on, and what to do next."""

    verdict: Verdict
    why: str
    advice: str


def judged(evidence: Evidence) -> Diagnosis:
    """The diagnosis that measurements give."""
    if evidence.finite < ALL_BUT:
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
    """What can be said where no chains were run."""
    usable = evidence.reliable and evidence.largest("mean").size < SMALL
    return _Judgement(
        "means only" if usable and not evidence.unfinished else "do not use",
        "no short chains have looked at it",
        "diagnose(chains=64) does, with the noise of so many.",
    )


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
        who = "weights" if evidence.brief else who
        why = f"{who} move no mean or sd by more than {max(means.size, sds.size):.2f}"
        if evidence.brief:
            why += f", {share:.0%} of the draws count; short chains agree"
        if weights is not None and not evidence.reliable:
            why += f"; the weights are not reliable (k = {weights.k:.2g}), tails are not checked"
        return _Judgement("good", why, "")
    if evidence.reliable and _agree(evidence):
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


class _Shift(NamedTuple):
    """The largest shift, and where it is."""

    size: float
    where: str


def _largest(table: xr.Dataset, names: Sequence[str]) -> _Shift:
    """The largest of some shifts; one that is not a number counts as infinite."""
    if not names:
        return _Shift(np.inf, "all")
    sizes = np.max([np.abs(table[name].to_numpy()) for name in names], axis=0)
    sizes = np.where(np.isnan(sizes), np.inf, sizes)
    worst = int(np.argmax(sizes))
    return _Shift(float(sizes[worst]), str(table["unconstrained"].to_numpy()[worst]))


def _agree(evidence: Evidence) -> bool:
    """Whether chains, and wider draws, say what the weights say: what is left between is small."""
    table, left = evidence.table, 0.0
    wide = evidence.wide is not None and evidence.wide.reliable
    for other, there in (("chains", evidence.nudged is not None), ("wide", wide)):
        if there:
            mean, sd = (table[f"weights_{w}"] - table[f"{other}_{w}"] for w in ("mean", "sd"))
            # in units of the sds that the weights give
            left = max(left, float(np.abs(mean / np.exp(table["weights_sd"])).max()))
            left = max(left, float(np.abs(sd).max()))
    return left < SMALL


def _worst(means: _Shift, sds: _Shift) -> str:
    """The worst shifts in words."""
    words = []
    if means.size >= SMALL:
        words.append(f"the mean of {means.where} is off by {means.size:.2g} sds of q")
    if sds.size >= SMALL:
        verb = "" if words else "is off "
        factor = np.exp(min(sds.size, 20.0))
        words.append(f"the sd of {sds.where} {verb}by a factor of {factor:.2g}")
    return ", ".join(words)
