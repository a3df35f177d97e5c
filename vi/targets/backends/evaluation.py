"""A target's values and scores on the host, for what chooses its points in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vi.foundation.compiling import jitted
from vi.foundation.precision import precision
from vi.targets.base import Target

__all__ = ["ENTRIES", "Evaluation", "entries_of", "evaluation"]

type Evaluation = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Values ``(K,)`` and scores ``(K, D)`` of a log density at points ``(K, D)``."""

ENTRIES = 2 * 10**7
"""Points times entries of the data that are evaluated together: some arrays of 160 MB each."""


def entries_of(target: Target) -> int:
    """Numbers that one evaluation reads: the data, and the point."""
    arrays = target.batch().arrays
    entries = sum(math.prod(np.shape(array)) for array in arrays)
    return int(target.dim + math.ceil(target.share * entries))


def evaluation(target: Target, block: int | None = None) -> Evaluation:
    """Values and scores of all rows at any number of points, in double precision outside.

    As many points are taken together as memory allows: every point has a value for each row. With
    `block` always so many, the last of them filled up: compiled once for any number of points. What
    runs on the host takes its points one by one, or as many as it wants.
    """
    inputs = target.batch()
    if not target.traceable:

        def on_the_host(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            with precision(target.dtype):
                values, scores = target.value_and_score(points.astype(target.dtype), inputs)
            return np.asarray(values, np.float64), np.asarray(scores, np.float64)

        return on_the_host
    function = target.compiled("values and scores", lambda: jitted(target.value_and_score))
    together = max(1, ENTRIES // entries_of(target))
    together = together if block is None else min(block, together)

    def evaluate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = []
        for first in range(0, len(points), together):
            part = points[first : first + together].astype(target.dtype)
            lacking = 0 if block is None else together - len(part)
            part = np.concatenate([part, part[-1:].repeat(lacking, axis=0)])
            with precision(target.dtype):
                found.append([np.asarray(a, np.float64) for a in function(part, inputs)])
        values, scores = zip(*found, strict=True)
        return np.concatenate(values)[: len(points)], np.concatenate(scores)[: len(points)]

    return evaluate
