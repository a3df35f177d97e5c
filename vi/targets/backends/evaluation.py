"""A target's values and scores on the host, for what chooses its points in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import numpy as np

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
    return int(target.dim + sum(math.prod(np.shape(array)) for array in arrays))


def evaluation(target: Target) -> Evaluation:
    """Values and scores of all rows at any number of points, in double precision outside.

    As many points are taken together as memory allows: every point has a value for each row.
    """
    function = (
        target.compiled("values and scores", lambda: jax.jit(target.value_and_score))
        if target.traceable
        else target.value_and_score
    )
    inputs = target.batch()
    together = max(1, ENTRIES // entries_of(target))

    def evaluate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = []
        for first in range(0, len(points), together):
            block = points[first : first + together].astype(target.dtype)
            with precision(target.dtype):
                found.append([np.asarray(a, np.float64) for a in function(block, inputs)])
        values, scores = zip(*found, strict=True)
        return np.concatenate(values), np.concatenate(scores)

    return evaluate
