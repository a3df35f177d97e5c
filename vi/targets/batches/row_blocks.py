"""A log density of all rows, block by block of them, by what was compiled for batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vi.foundation.compiling import jitted
from vi.foundation.precision import precision
from vi.targets.backends.evaluation import ENTRIES, entries_of
from vi.targets.base import Batch, Inputs, StepInputs, Target

__all__ = ["POINTS", "RowBlocks"]

POINTS = 16
"""Points that are evaluated together: fewer are filled up, so that one shape is compiled."""


class RowBlocks(Target):
    r"""Log p of all rows as the mean of that of blocks, weighted by how many rows they have.

    .. math:: \log p(z) = \sum_b \frac{n_b}{N} \log p_b(z)

    with the terms of rows in :math:`\log p_b` those of block b times N / n_b, as batches have them.
    It takes the memory of a block, whatever N is, and none of the checks and compilations of a log
    density of all rows. On the host.

    Parameters
    ----------
    target : Target
        The log density of steps that see batches, of one minibatch.
    """

    traceable = False

    def __init__(self, target: Target) -> None:
        self._target = target
        self.layout, self.dtype, self.names = target.layout, target.dtype, target.names
        self.backend = target.backend
        self._both, self._value = target.value_and_score, target.log_prob
        if target.traceable:
            self._both = jitted(target.value_and_score)

    def watch(self) -> Any:
        return self._target.watch()

    def stale(self) -> tuple[str, ...]:
        return self._target.stale()

    def batch(self) -> Inputs:
        return self._target.batch()

    def value_and_score(self, points: np.ndarray, inputs: Batch) -> tuple[np.ndarray, np.ndarray]:
        values, scores = self._mean(self._both, points, inputs)
        return values, scores

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        def alone(points: np.ndarray, rows: StepInputs) -> tuple[np.ndarray]:
            return (self._value(points, rows),)

        flat = np.asarray(points).reshape(-1, self.dim)
        (values,) = self._mean(alone, flat, self.batch() if inputs is None else inputs)
        return values.reshape(np.shape(points)[:-1])

    def _mean(
        self, function: Callable[..., Any], points: np.ndarray, inputs: Batch
    ) -> list[np.ndarray]:
        """The mean over blocks of what a function of points and rows returns."""
        (n,) = self._target.batch().counts
        each = max(1, math.ceil(entries_of(self._target) / n))
        size = math.ceil(n / math.ceil(n * POINTS * each / ENTRIES))
        parts = []
        for first in range(0, len(points), POINTS):
            part = np.asarray(points[first : first + POINTS], self.dtype)
            filled = np.concatenate([part, part[-1:].repeat(POINTS - len(part), axis=0)])
            sums: list[Any] = []
            for row in range(0, n, size):
                numbers = np.arange(row, min(row + size, n))
                with precision(self.dtype):
                    found = function(filled, StepInputs(inputs.arrays, (numbers,)))
                terms = [len(numbers) / n * np.asarray(a, np.float64) for a in found]
                sums = [a + b for a, b in zip(sums, terms, strict=True)] if sums else terms
            parts.append([total[: len(part)] for total in sums])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        return self._target.constrain(points, names)
