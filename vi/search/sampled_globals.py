"""Draws of the globals, and the marginal log density that is known at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vi.search.given_globals import NORMAL, TOO_FAR, Given, GivenGlobals
from vi.search.inner_summit import NoSummitError
from vi.search.kernel_mixture import KernelMixture
from vi.search.split_t import SplitT

__all__ = ["SampledGlobals"]

RARE = 0.05
"""Share of the mass that may have candidates too far to be weighed."""

WIDEST = 5.0
"""Spread beyond which a mass is not told apart any more: it is at least e^12 times Laplace's."""


@dataclass
class SampledGlobals:
    """Draws of the globals, and what is known at them.

    Parameters
    ----------
    given : GivenGlobals
        The others given globals.
    rng : numpy.random.Generator
        Of the draws.
    """

    given: GivenGlobals
    rng: np.random.Generator
    globals_: list[np.ndarray] = field(default_factory=list)
    looks: list[Given] = field(default_factory=list)
    spread: float = 0.0
    others: str = "exact"
    behind: int = 0
    """Number of the next draw; each has noise of its own for the others."""

    def look(self, points: np.ndarray) -> np.ndarray:
        """The marginal log density at points that are not kept."""
        value, correction, _ = self._looked_at(points)
        return value if self.others == "normal" else value + correction

    def add(self, proposal: SplitT | KernelMixture, draws: int) -> None:
        """Draw from a proposal."""
        fresh = proposal.draw(draws, self.rng)
        self.globals_.append(fresh)
        self.looks.append(self._looked_at(fresh))

    def begin_anew(self) -> None:
        """Forget all draws."""
        self.globals_, self.looks = [], []

    def log_densities(
        self, proposals: Sequence[SplitT | KernelMixture]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The marginal log density at the draws, and that of the mixture they are from."""
        points = self.points
        log_q = np.logaddexp.reduce([p.log_prob(points) for p in proposals], axis=0)
        log_q -= np.log(len(proposals))
        looks = np.concatenate(self.looks, axis=1)
        log_p, self.spread, self.others = _marginal(looks, log_q)
        if not np.isfinite(log_p).any():
            raise NoSummitError("given the globals no draw has a maximum of the others")
        return log_p, log_q

    @property
    def points(self) -> np.ndarray:
        """The globals that were drawn, ``(K, g)``."""
        return np.concatenate(self.globals_)

    def draw(self, chosen: np.ndarray, copies: np.ndarray) -> np.ndarray:
        """All coordinates at some of the draws, so many copies of each."""
        points = self.points
        numbers = self.behind - len(points) + chosen
        weigh = self.others == "weighed"
        return self.given.draw(points[chosen], numbers, copies, weigh=weigh)

    def _looked_at(self, points: np.ndarray) -> Given:
        numbers = self.behind + np.arange(len(points))
        self.behind += len(points)
        return self.given.look(points, numbers)


def _marginal(found: np.ndarray, log_q: np.ndarray) -> tuple[np.ndarray, float, str]:
    """The marginal log density at draws, from what is known at each ``(3, K)``.

    Of log weights with a spread of s the mean is about half of s squared above their own, but few
    of them hardly ever see it: where they spread widely they say too little, and the mass that is
    lost does not show in what they say. So that mass is guessed by s.
    """
    value, correction, spreads = found
    finite = np.isfinite(value)
    spread = float(np.median(spreads[finite])) if finite.any() else 0.0
    if not finite.any() or float(spreads[finite].max()) < NORMAL:
        return value + correction, spread, "exact"
    guessed = np.maximum(correction, 0.5 * np.minimum(spreads, WIDEST) ** 2)
    mass = np.where(finite, value + guessed - log_q, -np.inf)
    mass = np.exp(mass - np.logaddexp.reduce(mass))
    if mass[spreads > TOO_FAR].sum() > RARE:
        return value, spread, "normal"
    return value + correction, spread, "weighed"
