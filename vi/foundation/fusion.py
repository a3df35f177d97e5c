"""What XLA must not fuse with what is around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["apart", "in_memory"]


def in_memory[T](arrays: T, always: jax.Array) -> T:
    """Arrays, in memory before anything reads them.

    XLA fuses what makes an array into each of its readers: a draw, random numbers and all, is then
    made anew for every row of the data that it is compared with. It does not fuse into a
    conditional, unless it can tell which branch is taken; an optimisation barrier is gone before it
    fuses (on CPUs).

    Parameters
    ----------
    arrays : pytree of arrays
        What is to be computed once.
    always : jax.Array
        A scalar that is always true, but not known to be while compiling.
    """
    kept: T = apart(lambda arrays: arrays, always, arrays)
    return kept


def apart(function: Callable[..., Any], always: jax.Array, *operands: Any) -> Any:
    """``function(*operands)`` as a computation of its own: the same bits wherever it stands.

    Parameters
    ----------
    function : callable
        Of arrays; returns a pytree of arrays.
    always : jax.Array
        As in :func:`in_memory`.
    *operands : pytrees of arrays
        What it is a function of; it reads nothing else that is traced.
    """
    shapes = jax.eval_shape(function, *operands)
    return jax.lax.cond(always, function, lambda *_: jax.tree.map(_blank, shapes), *operands)


def _blank(shape: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jax.random.split(jax.random.key(0), shape.shape)
    return jnp.zeros(shape.shape, shape.dtype)
