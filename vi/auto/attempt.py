"""One attempt of chains: how their steps are measured, what they have made, what it is worth."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.blackjax_kernels import Plan
from vi.approximation.results.chains import agreement
from vi.approximation.results.metric import LARGEST_DENSE
from vi.approximation.results.one_period import in_one_turn
from vi.approximation.results.partly_centred import PartlyCentred
from vi.approximation.results.running_chains import RunningChains
from vi.approximation.results.symmetries import Symmetries, symmetries_of
from vi.auto.centring import nearer_to_normal
from vi.auto.worth import AGREED, DIVERGING, ENOUGH, NEARLY, WORTH, worth
from vi.diagnostics.diagnosis import Diagnosis

__all__ = ["CHAINS", "LEG", "LONGEST", "Attempt"]

CHAINS, LEG = 4, 125
"""Chains, and the steps that they make in one compiled call."""

LONGEST = 20_000
"""Draws a chain after which an attempt ends."""

DEEPEST = 8
"""Doublings of a trajectory, two fewer than Stan has. Where a posterior needs longer ones, as along
the ridges of a neural network, as many gradients in shorter ones gave as many effective draws, and
a leg takes a thirtieth of the default budget at most."""

CHOICES = 2
"""How often coordinates are chosen: the first draws are made in the worse ones."""

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
    coordinates : PartlyCentred, optional
        Those that the matrix is in, and the steps are made in, where there are others than the
        model's.
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
        self._statistics: list[dict[str, np.ndarray]] = []

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
            self._statistics.append(statistics)
        for name in ("found", "_moved") if legs else ():
            self.__dict__.pop(name, None)

    def _count(self, statistics: dict[str, np.ndarray]) -> None:
        self.of_a_leg = int(np.sum(statistics["n_steps"]))
        self.gradients += self.of_a_leg

    def recentre(self, legs: int) -> None:
        """Go on in coordinates that follow locations and scales, where these are nearer to normal.

        What the first steps have seen says which; what is seen in these says it once more.
        """
        if self.coordinates is None:
            return
        kind = "dense" if self.fit.layout.dim <= LARGEST_DENSE else "diagonal"
        for _ in range(CHOICES):
            found, spread, gradients = nearer_to_normal(self.coordinates, self._tuned)
            self.gradients += gradients
            if found is None:
                return
            self.chains.coordinates, self.chains.matrix = found, spread
            self.measure_by(self.learned(kind))
            self.tune(legs)
        if self.moved:
            self.measure_by(self.learned(kind))
            self.tune(1)

    @property
    def coordinates(self) -> PartlyCentred | None:
        """Those in which the steps are made; None are the model's."""
        return self.chains.coordinates

    @property
    def moved(self) -> tuple[str, ...]:
        """The variables that are not in the model's coordinates."""
        return () if self.coordinates is None else self.coordinates.moved

    @property
    def made(self) -> int:
        """Draws a chain."""
        return LEG * len(self._points)

    @property
    def points(self) -> np.ndarray:
        """The draws ``(C, S, D)``, where they were made, of angles in one turn."""
        return in_one_turn(np.concatenate(self._points, axis=1), self.fit.layout)

    def _all(self, name: str) -> np.ndarray:
        """A statistic of all steps, ``(C, S)``."""
        return np.concatenate([one[name] for one in self._statistics], axis=1)

    @property
    def diverging(self) -> float:
        """The share of steps that diverged."""
        return float(np.mean(self._all("diverging")))

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
        flat, log_p = points.reshape(-1, points.shape[-1]), self._all("lp")
        found = symmetries_of(self.chains.target, flat, log_p.ravel())
        return found, points if found is None else found.told_apart(points)

    @cached_property
    def found(self) -> Diagnosis:
        """What they are worth, and how far q was from them."""
        symmetries, points = self._moved
        return worth(
            self.fit,
            points,
            self.draws,
            {name: self._all(name) for name in ("lp", "energy", "diverging")},
            self.gradients,
            image="" if symmetries is None else symmetries.images[0].name,
            moved=self.moved,
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
        """The draws, or if there are none those of the last leg that tuned, as steps see them."""
        points = self._moved[1] if self._points else self._tuned
        return points if self.coordinates is None else self.coordinates.from_model(points)[0]

    def measure_by(self, matrix: np.ndarray) -> None:
        """Measure the steps anew from here on."""
        self.chains.matrix = matrix
