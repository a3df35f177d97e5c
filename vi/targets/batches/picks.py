"""Numbers of rows for checks: a batch, the same rows in other company, and among many more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vi.targets.batches.rows import Rows, StreamedRows

__all__ = ["Pick", "pick_rows"]

MORE = 20_000
"""Up to so many rows a batch is compared with all rows; of more, with some thousands.

The comparison costs an evaluation of the term for these rows when a target is built.
"""

PERMUTED = 10**7
"""Rows in all from which on row numbers are drawn with replacement: a permutation takes memory."""


@dataclass(frozen=True, eq=False)
class Pick:
    """Numbers of the rows that one batch has in the checks.

    Parameters
    ----------
    rows : Rows or StreamedRows
        The batch.
    first : array
        A batch, ``(B,)``.
    shared : array
        One whose first half is that of ``first``, ``(B,)``.
    more : array
        Many rows with those of ``first`` among them.
    before : int
        How many come before them.
    """

    rows: Rows | StreamedRows
    first: np.ndarray
    shared: np.ndarray
    more: np.ndarray
    before: int

    def numbers(self, kind: str) -> np.ndarray:
        """The row numbers of ``"first"``, ``"reverse"``, ``"shared"`` or ``"more"``."""
        if kind == "reverse":
            return self.first[::-1]
        numbers: np.ndarray = getattr(self, kind)
        return numbers

    def arrays(self, kind: str) -> list[np.ndarray]:
        """What the term reads of them: their numbers, or streamed rows themselves."""
        numbers = self.numbers(kind)
        if isinstance(self.rows, StreamedRows):
            sample = self.rows.sample
            return [np.ascontiguousarray(sample[name][numbers]) for name in self.rows.inputs]
        return [np.ascontiguousarray(numbers, np.int64)]


def pick_rows(rows: Rows | StreamedRows, generator: np.random.Generator) -> Pick:
    """Random rows of a batch."""
    size = rows.size
    n = len(next(iter(rows.sample.values()))) if isinstance(rows, StreamedRows) else rows.count()
    if n < PERMUTED:
        first = generator.permutation(n)[:size]
    else:
        first = generator.integers(n, size=size)
    if len(first) < size:  # the sample of a stream may be shorter than a batch
        first = generator.integers(n, size=size)
    half = size // 2
    shared = np.concatenate([first[:half], generator.integers(n, size=size - half)])
    every = np.arange(n) if n <= MORE else generator.integers(n, size=max(8 * size, MORE // 8))
    others = np.setdiff1d(every, first)
    before = len(others) // 2
    more = np.concatenate([others[:before], first, others[before:]])
    return Pick(rows, first, shared, more, before)
