"""A kernel given as a JAX function of two points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.foundation.arguments import function
from vi.foundation.numbers import flag
from vi.kernels.kernel import Kernel, Sums

__all__ = ["PairKernel"]


@dataclass(frozen=True)
class PairKernel(Kernel):
    """A user's function ``k(x, y)`` of two points ``(D,)``, written in JAX.

    Derivatives are taken by JAX, one particle after the other: slower than the kernels above, by a
    factor of about ``D``.

    Parameters
    ----------
    function : callable
        ``function(x, y) -> scalar``; symmetric and positive definite.
    standardize : bool
        Whether the function gets points in units of the particles' standard deviations, instead of
        the points.
    """

    function: Callable[[jax.Array, jax.Array], jax.Array]
    standardize: bool = False
    short_name = "pair"

    def __post_init__(self) -> None:
        function("PairKernel(function", self.function, "a JAX function k(x, y) of two points")
        flag("PairKernel(standardize", self.standardize)

    def sums(self, points: jax.Array, scores: jax.Array) -> Sums:
        self._check(points)
        value_and_slope = jax.value_and_grad(self.function)
        basis = jnp.eye(points.shape[1], dtype=points.dtype)

        def trace(x: jax.Array, y: jax.Array) -> jax.Array:
            slope = jax.grad(self.function)
            second = jax.vmap(lambda e: jax.jvp(lambda v: slope(x, v), (y,), (e,))[1])(basis)
            return jnp.trace(second)

        def around(pair: tuple[jax.Array, jax.Array]) -> Sums:
            y, score = pair
            values, slopes = jax.vmap(lambda x: value_and_slope(x, y))(points)
            traces = jax.vmap(lambda x: trace(x, y))(points)
            value, slope = value_and_slope(y, y)
            return Sums(
                values @ scores, jnp.sum(slopes, axis=0), jnp.sum(traces), value * score + slope
            )

        sums: Sums = jax.lax.map(around, (points, scores))
        return sums._replace(trace=jnp.sum(sums.trace))

    def _check(self, points: jax.Array) -> None:
        result = jax.eval_shape(self.function, points[0], points[0])
        if getattr(result, "shape", None) != ():
            raise TypeError(
                f"kernel={self.function!r} must return a scalar for two points of shape "
                f"{points[0].shape}, got {result}."
            )
