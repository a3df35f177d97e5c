"""A target's values and scores on the host, for what chooses its points in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vi.foundation.compiling import jitted
from vi.foundation.precision import precision
from vi.targets.base import Batch, Target

__all__ = ["CHUNK", "ENTRIES", "Evaluation", "entries_of", "evaluation", "log_prob_in_chunks"]

type Evaluation = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Values ``(K,)`` and scores ``(K, D)`` of a log density at points ``(K, D)``."""

ENTRIES = 2 * 10**7
"""Points times entries of the data that are evaluated together: some arrays of 160 MB each."""


CHUNK = 256
"""Points at which log p is evaluated together where their number varies."""


def entries_of(target: Target, inputs: Batch | None = None) -> int:
    """Numbers that one evaluation reads: the data, those of all rows by default, and the point."""
    arrays = target.batch().arrays if inputs is None else inputs.values
    entries = sum(math.prod(np.shape(array)) for array in arrays)
    return int(target.dim + math.ceil(target.share * entries))


def evaluation(target: Target, block: int | None = None, inputs: Batch | None = None) -> Evaluation:
    """Values and scores at any number of points, in double precision outside.

    As many points are taken together as memory allows: every point has a value for each row. With
    `block` always so many, the last of them filled up: compiled once for any number of points. They
    are of all rows, or of `inputs`. What runs on the host takes its points one by one, or as many
    as it wants.
    """
    inputs = target.batch() if inputs is None else inputs
    if not target.traceable:

        def on_the_host(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            with precision(target.dtype):
                values, scores = target.value_and_score(points.astype(target.dtype), inputs)
            return np.asarray(values, np.float64), np.asarray(scores, np.float64)

        return on_the_host
    function = target.compiled("values and scores", lambda: jitted(target.value_and_score))
    together = max(1, ENTRIES // entries_of(target, inputs))
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


def log_prob_in_chunks(target: Target, points: np.ndarray) -> np.ndarray:
    """Log p at points ``(S, D)`` by code that is compiled once, whatever their number."""
    if target.in_passes or not len(points):
        return target.log_prob(points)
    filled = np.resize(points, (-(-len(points) // CHUNK) * CHUNK, target.dim))
    found = [target.log_prob(part) for part in filled.reshape(-1, CHUNK, target.dim)]
    return np.concatenate(found)[: len(points)]
