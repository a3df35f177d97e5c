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


class Probe:
    """Products with the Hessian at one random point after the other, counted."""

    def __init__(self, target: Target, start: np.ndarray) -> None:
        self.target, self.start = target, start
        self.rng = np.random.default_rng(0)
        self.products = hessian_products(target)
        self.count = 0

    def next(self) -> Any:
        """The product of a fresh point, at which it is finite."""
        shift = self.rng.standard_normal(self.start.size)
        bad = np.empty(0, int)
        for width in WIDTHS:
            point = self.start + width * shift
            ones = self._times(point, np.ones((1, self.start.size)))[0]
            self.count -= 1  # a look, and no part of what is found
            bad = np.flatnonzero(~np.isfinite(ones))
            if not len(bad):
                return lambda directions: self._times(point, directions)
        raise ValueError(
            "Products with the Hessian of log p are not finite near the start, in "
            f"{self.target.layout.describe(bad)}: give these variables another initval, or find "
            "out why their gradient is not finite."
        )

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
