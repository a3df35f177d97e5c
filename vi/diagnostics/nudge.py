"""Short Markov chains from draws of q: where draws go that p pulls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vi.diagnostics.parts import PartRoots

__all__ = ["Nudged", "nudge"]

STEPS = 25
"""Steps of each chain: enough to see that draws move, far too few to arrive."""

KEPT = 10
"""The last steps, whose points count."""

LEAPS = 5
"""Leapfrog steps of a trajectory."""

STEP = 0.9
"""Length of a leapfrog step in units of q, times D^(-1/4): a normal in D dimensions accepts about
as much of such steps whatever D is (Beskos et al. 2013). Five of them are a quarter of a turn and
more in up to 20 dimensions."""

ACCEPTED = 0.75
"""Acceptance rate that the length of the steps is tuned to, over all chains at once."""

JITTER = 0.3
"""Relative size by which each chain's steps vary, so that none comes back to where it started."""


@dataclass(frozen=True)
class Nudged:
    """Where short chains went.

    Parameters
    ----------
    points : numpy.ndarray
        The last points of the chains, ``(steps, chains, D)``.
    accepted : float
        Acceptance rate in the last steps.
    gradients : int
        Evaluations of the gradient.
    """

    points: np.ndarray
    accepted: float
    gradients: int

    @property
    def mean(self) -> np.ndarray:
        """Mean of the last points, ``(D,)``."""
        mean: np.ndarray = self.points.mean(axis=(0, 1))
        return mean

    @property
    def std(self) -> np.ndarray:
        """Standard deviations of the last points, ``(D,)``."""
        std: np.ndarray = self.points.std(axis=(0, 1))
        return std


def nudge(
    evaluate: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    points: np.ndarray,
    root: np.ndarray | PartRoots,
    generator: np.random.Generator,
    leaps: int = LEAPS,
    at_start: Sequence[np.ndarray] | None = None,
) -> Nudged:
    """Let Hamiltonian Monte Carlo move draws of q, with q's covariance as the metric.

    Where q is p the draws stay what they are, draws of p. Where it is not, mean and standard
    deviation move towards p's: by how much is a lower bound of the error, in all but mass that no
    draw can reach in some steps.

    Parameters
    ----------
    evaluate : callable
        Values ``(K,)`` and scores ``(K, D)`` of log p at points ``(K, D)``.
    points : numpy.ndarray
        Draws of q at which log p is finite, ``(chains, D)``.
    root : numpy.ndarray or PartRoots
        A root of q's covariance: R ``(D, D)`` of R R', or standard deviations ``(D,)``; of a
        mixture, each chain's own.
    generator : numpy.random.Generator
        What is random.
    leaps : int
        Leapfrog steps of a trajectory: with one it is the Metropolis-adjusted Langevin algorithm,
        a fifth of the gradients and of the way.
    at_start : sequence of numpy.ndarray, optional
        Values and scores at ``points``, where they are known.
    """
    chains, dim = points.shape
    unit = PartRoots((root,), np.zeros(chains, int)) if isinstance(root, np.ndarray) else root
    forward, back = unit.forward, unit.back
    step = STEP * dim**-0.25
    points = points.astype(np.float64)
    values, scores = evaluate(points) if at_start is None else at_start
    kept, rates = [], []
    for _ in range(STEPS):
        lengths = step * generator.uniform(1 - JITTER, 1 + JITTER, (chains, 1))
        start = generator.standard_normal((chains, dim))
        velocity, there, there_scores, there_values = start, points, scores, values
        with np.errstate(all="ignore"):
            for _ in range(leaps):
                velocity = velocity + 0.5 * lengths * back(there_scores)
                there = there + lengths * forward(velocity)
                there_values, there_scores = evaluate(there)
                velocity = velocity + 0.5 * lengths * back(there_scores)
            gain = there_values - values - 0.5 * (velocity**2 - start**2).sum(axis=1)
            rate = np.exp(np.minimum(gain, 0.0))
        rate = np.where(np.isfinite(gain) & np.all(np.isfinite(there_scores), axis=1), rate, 0.0)
        moves = generator.uniform(size=chains) < rate
        points = np.where(moves[:, None], there, points)
        scores = np.where(moves[:, None], there_scores, scores)
        values = np.where(moves, there_values, values)
        step *= float(np.exp(rate.mean() - ACCEPTED))
        kept.append(points)
        rates.append(rate.mean())
    gradients = chains * (STEPS * leaps + (at_start is None))
    return Nudged(np.stack(kept[-KEPT:]), float(np.mean(rates[-KEPT:])), gradients)
