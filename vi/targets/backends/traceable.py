"""A target's log density as a JAX function of one point, whichever backend evaluates it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.precision import precision
from vi.targets.base import Batch, Target

__all__ = ["traceable_density"]


def traceable_density(target: Target) -> Callable[[jax.Array, Batch], jax.Array]:
    """A function ``(z, batch) -> log p(z)`` of one point that can be traced, differentiated once
    and vmapped.

    Where the target is evaluated on the host, compiled code calls back to it, once for value and
    gradient of all points together.

    Parameters
    ----------
    target : Target
        The target.

    Returns
    -------
    callable
    """
    kept: dict[str, Any] = target.__dict__
    if "_density" not in kept:  # one function a target: what is compiled for it is compiled once
        kept["_density"] = _traced(target) if target.traceable else _called_back(target)
    density: Callable[[jax.Array, Batch], jax.Array] = kept["_density"]
    return density


def _traced(target: Any) -> Callable[[jax.Array, Batch], jax.Array]:
    def value(z: jax.Array, batch: Batch) -> jax.Array:
        density: jax.Array = target.log_density(z, batch)
        return density

    return value


def _called_back(target: Target) -> Callable[[jax.Array, Batch], jax.Array]:
    """Values go to the host and back as 32-bit words: on its way to other threads JAX rounds
    float64 to float32.
    """
    words = target.dtype.itemsize // 4

    def on_host(bits: Any) -> np.ndarray:
        points = np.ascontiguousarray(bits).view(target.dtype).reshape(-1, target.dim)
        with precision(target.dtype):  # the thread of a callback knows nothing of the caller's
            values, scores = target.value_and_score(points, target.batch())
        answer = np.concatenate([values[:, None], scores], axis=1).astype(target.dtype)
        return answer.view(np.uint32).reshape(*bits.shape[:-1], words * (target.dim + 1))

    def call(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        bits = jax.lax.bitcast_convert_type(z, jnp.uint32).reshape(words * target.dim)
        shape = jax.ShapeDtypeStruct((words * (target.dim + 1),), jnp.uint32)
        answer = jax.pure_callback(on_host, shape, bits, vmap_method="broadcast_all")
        answer = answer.reshape((target.dim + 1, 2) if words == 2 else (target.dim + 1,))
        numbers = jax.lax.bitcast_convert_type(answer, z.dtype)
        return numbers[0], numbers[1:]

    @jax.custom_vjp
    def value(z: jax.Array) -> jax.Array:
        return call(z)[0]

    value.defvjp(call, lambda score, cotangent: (cotangent * score,))
    return lambda z, batch: value(z)
