"""Products with a log density's Hessian at one random point after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.foundation.precision import precision
from vi.search.hessian_products import hessian_products
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
        for step in steps:
            point = self.start + step * shift
            ones = self._times(point, np.ones((1, self.start.size)))[0]
            self.count -= 1  # a look, and no part of what is found
            bad = np.flatnonzero(~np.isfinite(ones))
            if not len(bad):
                return lambda directions: units * self._times(point, units * directions)
        raise ValueError(
            "Products with the Hessian of log p are not finite near the start, in "
            f"{self.target.layout.describe(bad)}: give these variables another initval, or find "
            "out why their gradient is not finite."
        )

    def _of_coordinates(self) -> np.ndarray:
        """Units in which the rows of the Hessian at the start are about one.

        Rows and columns are divided by the root of their sizes, round by round (Ruiz 2001).
        """
        units, counted = np.ones(self.start.size), self.count
        signs = np.random.default_rng(1).choice([-1.0, 1.0], (ROUNDS, 2, self.start.size))
        for both in signs:
            size = np.max(np.abs(units * self._times(self.start, units * both)), axis=0)
            if not np.all(np.isfinite(size)):
                break
            units = np.where(size > 0, units / np.sqrt(np.where(size > 0, size, 1.0)), units)
            units = np.clip(units, 1 / LONGEST, LONGEST)
        self.count = counted  # a look, too
        return units

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
