"""Batching in one place: everything else is written for one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax

__all__ = ["batched"]

T = TypeVar("T")


def batched[T](function: Callable[[jax.Array], T], points: jax.Array) -> T:
    """Apply a function of one point to the leading axis of ``points``.

    A single point is not sent through ``vmap``: a batch of one turns matrix-vector products into batched ones, which
    XLA runs more slowly on CPU.
    """
    if points.shape[0] == 1:
        alone: T = jax.tree.map(lambda leaf: leaf[None], function(points[0]))
        return alone
    together: T = jax.vmap(function)(points)
    return together
