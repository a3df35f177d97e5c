"""Products with a log density's Hessian at one random point after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from vi.foundation.precision import precision
from vi.search.hessian_products import hessian_products
from vi.search.jumps import differences, untold
from vi.targets.backends.evaluation import evaluation
from vi.targets.base import Target

__all__ = ["Probe"]

WIDTHS = (0.5, 0.1, 0.01, 0.001)
"""How far points lie from the start, unconstrained: the first width at which log p is finite."""

BLOCK = 16
"""Directions of one compiled call."""

WIDE = 100.0
"""Units from which on points lie as far from the start as a coordinate's own unit is long. In units
of 1e6 a step of 1 moves nothing: what depends on the place would not be seen."""

ROUNDS, LONGEST = 6, 1e12
"""Rounds that look for units: each leaves about the root of the factor by which a row is off, and
of 1e12 they leave 1.5."""


class Probe:
    """Products with the Hessian at one random point after the other, counted."""

    def __init__(self, target: Target, start: np.ndarray) -> None:
        self.target, self.start = target, start
        self.rng = np.random.default_rng(0)
        self.products = hessian_products(target)
        self.count = 0
        self._units = self._of_coordinates()
        self._steps = np.where(self._units > WIDE, self._units, 1.0)
        self._evaluate = evaluation(target)
        self._tolerance = float(np.finfo(target.dtype).eps) ** (1 / 3)
        self._at, self._step = self.start, self._steps
        # differences of gradients have an error of this square, and rounding of that order
        rounding = float(np.finfo(target.dtype).eps)
        own = rounding if target.traceable else rounding ** (2 / 3)
        self.error = max(1e-5, own * (1000 if target.traceable else 100))

    def next(self) -> Any:
        """The product of a fresh point, at which it is finite, in units of the coordinates.

        In these no entry of the Hessian is small but those that are small beside the others.
        """
        shift = self.rng.standard_normal(self.start.size)
        bad = np.empty(0, int)
        units = self._units
        steps = [width * self._steps for width in WIDTHS]
        if np.any(self._steps > 1.0):
            steps += [np.full(self.start.size, width) for width in WIDTHS]
        if not self.target.traceable and np.any(units < 1.0):
            # differences are lost where points are many of their steps away
            steps += [width * np.minimum(units, self._steps) for width in WIDTHS]
        for step in steps:
            point = self.start + step * shift
            ones = self._times(point, np.ones((1, self.start.size)))[0]
            self.count -= 1  # a look, and no part of what is found
            bad = np.flatnonzero(~np.isfinite(ones))
            if not len(bad):
                self._at, self._step = point, step
                return lambda directions: self._known(units * directions, point)
        raise ValueError(
            "Products with the Hessian of log p are not finite near the start, in "
            f"{self.target.layout.describe(bad)}: give these variables another initval, or find "
            "out why their gradient is not finite."
        )

    def untold(self, pattern: sp.csr_array) -> np.ndarray:
        """Coordinates whose gradient, near the last point, depends on more than the pattern says.

        The gradient jumps where log p has a kink (a Laplace likelihood) or a switch, of which the
        Hessian beside it says nothing.
        """
        return untold(pattern, self._score, self._at, self._step, self._tolerance)

    def differences(self) -> Callable[[np.ndarray], np.ndarray]:
        """By how much gradients change as single coordinates move from the last point."""
        return differences(self._score, self._at, self._step, self._tolerance)

    def _score(self, points: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found: np.ndarray = self._units * self._evaluate(points)[1]
        return found

    def _of_coordinates(self) -> np.ndarray:
        """Units in which the rows of the Hessian at the start are about one.

        Rows and columns are divided by the root of their sizes, round by round (Ruiz 2001).
        """
        units = known = np.ones(self.start.size)
        counted = self.count
        signs = np.random.default_rng(1).choice([-1.0, 1.0], (ROUNDS, 2, self.start.size))
        for both in signs:
            size = np.max(np.abs(units * self._times(self.start, units * both)), axis=0)
            if not np.all(np.isfinite(size)):
                units = known  # in which there were products
                break
            known = units
            units = np.where(size > 0, units / np.sqrt(np.where(size > 0, size, 1.0)), units)
            units = np.clip(units, 1 / LONGEST, LONGEST)
        self.count = counted  # a look, too
        return units

    def _known(self, directions: np.ndarray, point: np.ndarray) -> np.ndarray:
        """Products in units; nothing where differences are lost, which :meth:`untold` makes up."""
        found = self._units * self._times(point, directions)
        return found if self.target.traceable else np.where(np.isnan(found), 0.0, found)

    def _times(self, point: np.ndarray, directions: np.ndarray) -> np.ndarray:
        self.count += len(directions)
        lacking = -len(directions) % BLOCK if self.target.traceable else 0
        filled = np.concatenate([directions, np.zeros((lacking, point.size))])
        found = []
        with np.errstate(all="ignore"), precision(self.target.dtype):
            for first in range(0, len(filled), BLOCK):
                part = filled[first : first + BLOCK]
                found.append(self.products(np.broadcast_to(point, part.shape), part))
        answer: np.ndarray = np.concatenate(found)[: len(directions)]
        return answer
