"""Arrays that are computed once: what XLA must not compute anew for every reader."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["in_memory"]


def in_memory(array: jax.Array, always: jax.Array) -> jax.Array:
    """The array, in memory before anything reads it.

    XLA fuses what makes an array into each of its readers: a draw, random numbers and all, is then made anew for every
    row of the data that it is compared with. It does not fuse into a conditional, unless it can tell which branch is
    taken; an optimisation barrier is gone before it fuses (on CPUs).

    Parameters
    ----------
    array : jax.Array
        What is to be computed once.
    always : jax.Array
        A scalar that is always true, but not known to be while compiling.
    """
    kept: jax.Array = jax.lax.cond(always, lambda array: array, jnp.zeros_like, array)
    return kept
