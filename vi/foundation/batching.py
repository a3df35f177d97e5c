"""Batching in one place: everything else is written for one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax

__all__ = ["batched"]

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
