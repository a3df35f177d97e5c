"""Whether rows add up in a log density of batches: whether it is right with any number of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vi.graphs.interpret import interpreted

if TYPE_CHECKING:
    from vi.targets.model.graph import ModelGraph

__all__ = ["rows_add_up"]

TOLERANCE = 1e-6
"""Of the value: rounding of sums, in the precision of the model's data."""


def rows_add_up(graph: ModelGraph, seed: int) -> bool:
    r"""Whether log p of the rows of two batches together is the mean of that of either.

    So it is where terms are sums over rows times N over the number of rows. Where a factor, or
    something else, is made for batches of one size, it is not.

    Parameters
    ----------
    graph : ModelGraph
        Of a log density of batches.
    seed : int
        Of the point and the rows.
    """
    generator = np.random.default_rng(seed)
    point = 0.1 * generator.standard_normal(graph.layout.dim)
    first, second = (
        [generator.integers(rows.count(), size=rows.size) for rows in graph.rows] for _ in range(2)
    )
    both = [np.concatenate(pair) for pair in zip(first, second, strict=True)]

    # shared variables bring their own values
    log_prob = interpreted([graph.flat, *graph.per_step], [graph.log_prob])
    try:
        one, other, together = (float(log_prob(point, *rows)[0]) for rows in (first, second, both))
    except (AssertionError, IndexError, TypeError, ValueError):
        return False
    return bool(np.isclose(0.5 * (one + other), together, rtol=TOLERANCE))
