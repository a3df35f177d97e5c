"""Which rows a step takes: row numbers of all minibatches of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vi.data.minibatches.row_numbers import row_numbers
from vi.graphs.interpret import interpreted
from vi.targets.batches.rows import Rows

__all__ = ["draw_rows", "lengths_function"]


def draw_rows(
    rows: Sequence[Rows], counts: Sequence[int], words: Any, step: Any, xp: Any
) -> tuple[Any, ...]:
    """Row numbers of a step, ``(B,)`` for each minibatch.

    They are a function of the step and of the words of the run's key, or the minibatch's own.
    """
    return tuple(
        row_numbers(words, i, step, n, r.sampling, xp)
        if r.words is None
        else row_numbers(np.asarray(r.words, np.uint32), 0, step, n, r.sampling, xp)
        for i, (r, n) in enumerate(zip(rows, counts, strict=True))
    )


def lengths_function(rows: Sequence[Rows]) -> Callable[[], list[Any]]:
    """A function that returns the present number of rows in all of each minibatch."""
    if not rows:
        return list
    return interpreted([], [r.length for r in rows])
