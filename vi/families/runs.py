"""Entries of a vector at known places, cut out in runs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["taken"]

MOST_RUNS = 16
"""Runs of equal strides that are cut out one by one; more are gathered entry by entry."""


def taken(values: jax.Array, index: np.ndarray) -> jax.Array:
    """The entries of a vector at these places, cut out in runs where there are few.

    The gradient of a gather is a scatter, which compiled code does entry by entry.
    """
    # of long integers JAX may keep a conversion that was made in the other precision
    index = np.asarray(index, np.int32)
    runs = _runs(index)
    if runs is None:
        return values[index]
    parts = [jax.lax.slice(values, (first,), (last + 1,), (step,)) for first, last, step in runs]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts) if parts else values[:0]


def _runs(index: np.ndarray) -> list[tuple[int, int, int]] | None:
    """First, last and stride of each run; None where there are many."""
    runs: list[tuple[int, int, int]] = []
    at = 0
    while at < len(index):
        if len(runs) == MOST_RUNS:
            return None
        step = int(index[at + 1] - index[at]) if at + 1 < len(index) else 1
        if step < 1:
            stop, step = at + 1, 1
        else:
            breaks = np.flatnonzero(np.diff(index[at:]) != step)
            stop = at + 1 + int(breaks[0]) if len(breaks) else len(index)
        runs.append((int(index[at]), int(index[stop - 1]), step))
        at = stop
    return runs
