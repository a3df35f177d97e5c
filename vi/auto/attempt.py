"""One attempt of chains: how their steps are measured, what they have made, what it is worth."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.blackjax_kernels import Plan
from vi.approximation.results.chains import agreement, tail_ess
from vi.approximation.results.one_period import in_one_turn
from vi.approximation.results.running_chains import RunningChains
from vi.approximation.results.symmetries import Symmetries, symmetries_of
from vi.diagnostics.diagnosis import Diagnosis, Verdict, by_coordinate, shifts

__all__ = ["CHAINS", "LEG", "LONGEST", "Attempt"]

CHAINS, LEG = 4, 125
"""Chains, and the steps that they make in one compiled call."""

LONGEST = 20_000
"""Draws a chain after which an attempt ends."""

DEEPEST = 8
"""Doublings of a trajectory, two fewer than Stan has. Where a posterior needs longer ones, as along
the ridges of a neural network, as many gradients in shorter ones gave as many effective draws, and
a leg takes a thirtieth of the default budget at most."""

AGREED, ENOUGH = 1.01, 400
"""R-hat and effective draws from which on chains count as arrived (Vehtari et al. 2021)."""

ADVICE = "Longer chains, approx.sample_mcmc() or pm.sample(); or another parametrisation."

NEARLY, SOME, MANY = 1.05, 100, 0.1
"""When means are worth something: R-hat and the share of diverging steps at most so much, effective
draws at least so many."""

WORTH: tuple[Verdict, ...] = ("do not use", "means only", "good")
"""The verdicts on chains, upwards."""

DIVERGING = 0.005
"""The largest share of steps that diverge: what they leave out is about as much."""

FARTHER = 4
"""How many times as many draws as there are may be made before another attempt is begun."""

MORE = 2.0
"""How many times as far as the chains are from each other q has to be from them, for draws that
are not to be used to take the place of a q that is not either."""


class Attempt:
    """Chains with steps of their own lengths, leg by leg.

    Parameters
    ----------
    fit : FitState
        The record whose q they begin from.
    matrix : numpy.ndarray
        The inverse mass matrix, ``(D, D)`` or ``(D,)``.
    starts : numpy.ndarray
        Where they begin, ``(C, D)``.
    seed : int
        That of the chains.
    accept : float
        The acceptance rate to which steps are tuned.
    several : bool
        Whether there is more than one mode, of which some may be images of others.
    **more
        Of :class:`RunningChains`.
    """

    def __init__(
        self,
        fit: FitState,
        matrix: np.ndarray,
        starts: np.ndarray,
        seed: int,
        accept: float = 0.8,
        several: bool = False,
        **more: Any,
    ) -> None:
        self.fit, self.seed, self.accept, self.several = fit, seed, accept, several
        target, plan = target_of_all_rows(fit), Plan("nuts", None, DEEPEST)
        self.chains = RunningChains(target, plan, matrix, starts, seed, accept, **more)
        self.gradients, self.of_a_leg = 0, 0
        self._tuned = np.empty(0)
        self._points: list[np.ndarray] = []
        self._log_p: list[np.ndarray] = []
        self._diverging: list[np.ndarray] = []

    def tune(self, legs: int) -> None:
        """Legs in which the steps find their lengths."""
        for _ in range(legs):
            self._tuned, statistics = self.chains.go_on(0, tune=LEG)
            self._count(statistics)

    def go_on(self, legs: int, most: float) -> None:
        """Make up to so many legs of draws, while another is within so many gradients."""
        for number in range(legs):
            if number and self.gradients + self.of_a_leg > most:
                break
            points, statistics = self.chains.go_on(LEG)
            self._count(statistics)
            self._points.append(points)
            self._log_p.append(statistics["lp"])
            self._diverging.append(statistics["diverging"])
        for name in ("found", "_moved") if legs else ():
            self.__dict__.pop(name, None)

    def _count(self, statistics: dict[str, np.ndarray]) -> None:
        self.of_a_leg = int(np.sum(statistics["n_steps"]))
        self.gradients += self.of_a_leg

    @property
    def made(self) -> int:
        """Draws a chain."""
        return LEG * len(self._points)

    @property
    def points(self) -> np.ndarray:
        """The draws ``(C, S, D)``, where they were made, of angles in one turn."""
        return in_one_turn(np.concatenate(self._points, axis=1), self.fit.layout)

    @property
    def diverging(self) -> float:
        """The share of steps that diverged."""
        return float(np.mean(np.concatenate(self._diverging, axis=1)))

    @property
    def diverges(self) -> bool:
        """Whether more steps diverge than may."""
        return self.diverging > DIVERGING

    @property
    def draws(self) -> np.ndarray:
        """The draws ``(C * S, D)``, each at one of its images at random."""
        points, (symmetries, _) = self.points, self._moved
        flat = points.reshape(-1, points.shape[-1])
        return flat if symmetries is None else symmetries.spread(flat, self.seed)

    @cached_property
    def _moved(self) -> tuple[Symmetries | None, np.ndarray]:
        """What leaves log p as it is, and the draws ``(C, S, D)`` told apart from their images."""
        points = self.points
        if not self.several:
            return None, points
        flat, log_p = points.reshape(-1, points.shape[-1]), np.concatenate(self._log_p, axis=1)
        found = symmetries_of(self.chains.target, flat, log_p.ravel())
        return found, points if found is None else found.told_apart(points)

    @cached_property
    def found(self) -> Diagnosis:
        """What they are worth, and how far q was from them."""
        fit, (symmetries, points), draws = self.fit, self._moved, self.draws
        rhat, ess = agreement(points)
        ess = np.minimum(ess, tail_ess(points))
        largest, least = float(np.max(rhat)), float(np.min(ess))
        if symmetries is not None:
            # what is the same at all images has to agree as well
            of_log_p, _ = agreement(np.concatenate(self._log_p, axis=1)[..., None])
            largest = max(largest, float(of_log_p[0]))
        verdict: Verdict = "do not use"
        if largest <= AGREED and least >= ENOUGH and not self.diverges:
            verdict = "good"
        elif largest <= NEARLY and least >= SOME and self.diverging <= MANY:
            verdict = "means only"
        why = f"{len(points)} chains: R-hat {largest:.3f}, {least:,.0f} effective draws at least"
        steps = points.shape[0] * points.shape[1]
        if self.diverging:
            why += f", {round(self.diverging * steps):,} of {steps:,} steps diverged"
        if symmetries is not None:
            why += "; of images with the same log p (" + symmetries.images[0].name
            why += ", say) each draw is at one at random"
        mean, std = draws.mean(axis=0, dtype=np.float64), draws.std(axis=0, dtype=np.float64)
        columns: dict[str, Any] = {"mean": mean, "sd": std, "rhat": rhat, "ess": ess}
        if fit.diagnosis is not None:
            # how far the normal was from them, in its own standard deviations
            q_mean, q_std = (fit.diagnosis.table[what].to_numpy() for what in ("mean", "sd"))
            columns["chains_mean"], columns["chains_sd"] = shifts(q_mean, q_std, mean, std)
        return Diagnosis(
            verdict=verdict,
            why=why,
            advice="" if verdict == "good" else ADVICE,
            elbo=np.nan,
            elbo_error=np.nan,
            pareto_k=np.nan,
            importance_ess=np.nan,
            table=by_coordinate(columns, fit.layout.labels),
            acceptance=np.nan,
            gradients=self.gradients,
            skipped=("the density: chains have none",),
            tails="" if fit.diagnosis is None else fit.diagnosis.tails,
        )

    @property
    def has_images(self) -> bool:
        """Whether each draw is at one of its images at random."""
        return self._moved[0] is not None

    @property
    def kind(self) -> str:
        """Whether steps are measured by a covariance or by variances."""
        return "dense" if self.chains.matrix.ndim == 2 else "diagonal"

    @property
    def is_on_its_way(self) -> bool:
        """Whether more draws are all that it needs."""
        return self.found.verdict != "do not use" and not self.diverges

    @property
    def largest_rhat(self) -> float:
        """The largest R-hat of the coordinates."""
        return float(np.nanmax(self.found.table["rhat"]))

    @property
    def apart(self) -> float:
        """How far the means of chains are from each other, in sds of a chain, at the most.

        Ranks, which R-hat is of, do not tell whether modes are three sds apart or a hundred.
        """
        points = np.asarray(self._moved[1], np.float64)
        within = np.sqrt(points.var(axis=1).mean(axis=0))
        between = points.mean(axis=1).std(axis=0, ddof=1)
        with np.errstate(all="ignore"):
            return float(np.max(np.nan_to_num(between / within, posinf=np.inf)))

    @property
    def is_good(self) -> bool:
        """Whether the chains have arrived."""
        return self.found.verdict == "good"

    @property
    def rank(self) -> tuple[int, float]:
        """How much it is worth, beside others: its verdict, then its effective draws."""
        return WORTH.index(self.found.verdict), float(self.found.table["ess"].min())

    @property
    def is_better_than_q(self) -> bool:
        """Whether its draws are to take the place of q.

        Also where they are not to be used as they are, if q is not either and is farther from the
        chains than these are from each other.
        """
        found, before = self.found, self.fit.diagnosis
        if found.verdict != "do not use":
            return True
        if before is None or before.verdict != "do not use":
            return False
        off = max(float(np.nanmax(np.abs(found.table[f"chains_{w}"]))) for w in ("mean", "sd"))
        return off > MORE * self.apart

    def legs_to_go(self, left: int) -> int:
        """How many more legs promise to be enough, if that is not too many for what is left."""
        found = self.found
        if found.verdict == "good" or self.diverges or self.largest_rhat > NEARLY:
            return 0
        least = max(float(found.table["ess"].min()), 1.0)
        legs = math.ceil(len(self._points) * max(ENOUGH / least, self.largest_rhat / AGREED)) + 1
        legs -= len(self._points)
        promising = legs <= FARTHER * len(self._points) and legs * self.of_a_leg <= left / 2
        return legs if promising else 0

    def learned(self, kind: str) -> np.ndarray:
        """What the steps of other chains may be measured by: the covariance, or the variances.

        Their own and those before, by how much the chains know: a covariance in D dimensions takes
        about D effective draws to be seen.
        """
        points, matrix = self._seen(), np.asarray(self.chains.matrix, np.float64)
        flat = points.reshape(-1, points.shape[-1]).astype(np.float64)
        if kind == "diagonal":
            matrix = np.diag(matrix) if matrix.ndim == 2 else matrix
        elif matrix.ndim == 1:
            matrix = np.diag(matrix)
        seen = flat.var(axis=0) if matrix.ndim == 1 else np.cov(flat.T).reshape(matrix.shape)
        _, ess = agreement(points)
        known = float(np.nan_to_num(ess).mean())
        share = known / (known + (1 if matrix.ndim == 1 else flat.shape[1]))
        learned: np.ndarray = share * seen + (1 - share) * matrix
        return learned

    def _seen(self) -> np.ndarray:
        """The draws, or while there are none those of the last leg that tuned."""
        return self._moved[1] if self._points else self._tuned

    def measure_by(self, matrix: np.ndarray) -> None:
        """Measure the steps anew from here on."""
        self.chains.matrix = matrix
