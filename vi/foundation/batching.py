"""Batching in one place: everything else is written for one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax

__all__ = ["batched", "mapped"]

T = TypeVar("T")


def batched[T](function: Callable[[Any], T], points: Any) -> T:
    """Apply a function of one point to the leading axis of an array or a pytree of arrays.

    A single point is not sent through ``vmap``: a batch of one turns matrix-vector products into
    batched ones, which XLA runs more slowly on CPU.
    """
    if jax.tree.leaves(points)[0].shape[0] == 1:
        alone: T = jax.tree.map(
            lambda leaf: leaf[None], function(jax.tree.map(lambda leaf: leaf[0], points))
        )
        return alone
    together: T = jax.vmap(function)(points)
    return together


def mapped[T](function: Callable[[Any], T], points: Any, most: int) -> T:
    """Apply a function of one point to many, so many at once at most: for ``jax.jit``.

    The blocks are of one length if that divides the number of points: a last one that is shorter is
    compiled a second time.
    """
    leaves = jax.tree.leaves(points)
    count = leaves[0].shape[0]
    if count <= most or any(leaf.size == 0 for leaf in leaves):  # JAX cannot cut what is empty
        return batched(function, points)
    together: T = jax.lax.map(function, points, batch_size=-(-count // -(-count // most)))
    return together
