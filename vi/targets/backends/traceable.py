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
    """A function ``(z, inputs) -> log p(z)`` of one point, to be traced, differentiated, vmapped.

    It can be differentiated once. Where the target is evaluated on the host, compiled code calls
    back to it, once for value and gradient of all points together.

    Parameters
    ----------
    target : Target
        The target.

    Returns
    -------
    callable
    """
    # one function a target: what is compiled for it is compiled once
    return target.compiled(
        "traceable density",
        lambda: _traced(target) if target.traceable else _called_back(target),
    )


def _traced(target: Any) -> Callable[[jax.Array, Batch], jax.Array]:
    def value(z: jax.Array, inputs: Batch) -> jax.Array:
        density: jax.Array = target.log_density(z, inputs)
        return density

    return value


def _called_back(target: Target) -> Callable[[jax.Array, Batch], jax.Array]:
    """A log density on the host, called from compiled code.

    Numbers go to the host and back as 32-bit words: a callback runs in a thread of its own, in
    which the switch to 64 bits is off, and JAX would round float64 to float32 on its way there.
    """
    words = target.dtype.itemsize // 4

    def on_host(bits: Any) -> np.ndarray:
        """From the bits of points ``(..., words * D)`` to those of values and scores."""
        points = np.ascontiguousarray(bits).view(target.dtype).reshape(-1, target.dim)
        with precision(target.dtype):  # the model may call JAX functions in this thread
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
    return lambda z, inputs: value(z)
