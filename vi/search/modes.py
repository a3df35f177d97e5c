"""The search for modes of a target, from one start or many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vi.diagnostics.status import Status
from vi.foundation.precision import precision
from vi.foundation.seeds import MODE_JITTER, MODE_STARTS, generator_from
from vi.search.lbfgs import Minimand, search
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target

__all__ = ["Modes", "find_modes", "jittered", "spread_starts"]

ATTEMPTS = 10
"""Rounds in which starts with a finite density are looked for.

If less than half of all points have one, ten rounds leave one start in a thousand missing; where so
much of the space has none, the user should say where to start.
"""

JITTER = 0.01
"""How far from the model's initial point a search starts, at most.

That point is often one of symmetry, where log p has no gradient along a direction in which it
rises. A hundredth is little on any unconstrained scale, and its square, the first gain of a search
that leaves such a point, is above the rounding of single precision.
"""


@dataclass(frozen=True)
class Modes:
    """Where searches from ``K`` starts ended.

    Parameters
    ----------
    points : numpy.ndarray
        Unconstrained, ``(K, D)``.
    values : numpy.ndarray
        ``log p`` there, ``(K,)``.
    iterations : numpy.ndarray
        ``(K,)``.
    converged : numpy.ndarray
        Whether the next iteration would gain nothing but rounding, ``(K,)``.
    gains : numpy.ndarray
        What it is expected to gain, in nats, ``(K,)``.
    path : numpy.ndarray
        Points of all iterations, ``(T, K, D)``.
    path_values : numpy.ndarray
        ``log p`` at them, ``(T, K)``.
    path_scores : numpy.ndarray
        The gradients of ``log p`` at them, ``(T, K, D)``.
    """

    points: np.ndarray
    values: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray
    gains: np.ndarray
    path: np.ndarray
    path_values: np.ndarray
    path_scores: np.ndarray

    @property
    def best(self) -> int:
        """The search that ended highest."""
        return int(np.nanargmax(np.where(np.isfinite(self.values), self.values, -np.inf)))

    def status(self, which: int) -> Status:
        """How a search ended."""
        steps = int(self.iterations[which])
        if self.converged[which]:
            return Status("converged", steps, f"log p {self.values[which]:,.6g} at the mode.")
        what = f"the next iteration is expected to gain {self.gains[which]:.2g} nats"
        return Status(
            "max_steps",
            steps,
            f"log p {self.values[which]:,.6g}; {what}: not at a mode yet. More iterations (n)?",
        )


def find_modes(target: Target, starts: np.ndarray, n: int) -> Modes:
    """Climb from each of the starts ``(K, D)`` with at most ``n`` iterations of L-BFGS.

    Raises
    ------
    ValueError
        If no start leads to a finite value.
    """
    with precision(target.dtype):
        found = search(
            _minus_log_p(target), np.asarray(starts, target.dtype), target.batch(), iterations=n
        )
    if not np.any(np.isfinite(found.values)):
        raise ValueError(
            "log p or its gradient is not finite at any start. Give one with a finite density: "
            "start={name: value}."
        )
    points, values, gradients = found.path
    return Modes(
        found.points,
        -found.values,
        found.iterations,
        found.converged,
        found.gains,
        points,
        -values,
        -gradients,
    )


def jittered(target: Target, start: np.ndarray, free: np.ndarray, seed: int) -> np.ndarray:
    """The start, moved a little in the coordinates that are free ``(D,)``; same seed, same point.

    Where no point that near has a finite density, it stays where it is.
    """
    generator = generator_from(seed, MODE_JITTER)
    start = np.asarray(start, target.dtype)
    for attempt in range(ATTEMPTS):
        noise = generator.uniform(-JITTER, JITTER, target.dim) * 0.5**attempt
        candidate = np.where(free, start + noise, start).astype(target.dtype)
        if np.isfinite(target.log_prob(candidate)):
            return candidate
    return start


def spread_starts(target: Target, start: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The start, and others around it with a finite density: ``(count, D)``.

    Noise is uniform from -1 to 1, as in ``pm.sample``.
    """
    generator = generator_from(seed, MODE_STARTS)
    starts = [np.asarray(start, target.dtype)]
    for _ in range(ATTEMPTS):
        missing = count - len(starts)
        if missing == 0:
            break
        noise = generator.uniform(-1.0, 1.0, (missing, target.dim))
        candidates = (starts[0] + noise).astype(target.dtype)
        starts += list(candidates[np.isfinite(target.log_prob(candidates))])
    if len(starts) < count:
        raise ValueError(
            f"Only {len(starts)} of {count} starts have a finite log density. Give a start from "
            "which one can go in every direction, or fewer starts."
        )
    return np.stack(starts)


def _minus_log_p(target: Target) -> Minimand:
    """Minus log p, one function a target: what is compiled for it is compiled once."""

    def make() -> Minimand:
        density = traceable_density(target)
        return Minimand(lambda z, batch: -density(z, batch))

    return target.compiled("minus log p", make)
