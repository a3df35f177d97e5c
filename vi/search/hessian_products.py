"""Products of a log density's Hessian with vectors, at many points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vi.foundation.compiling import jitted
from vi.foundation.precision import precision
from vi.targets.backends.evaluation import evaluation
from vi.targets.backends.together import points_together
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target

__all__ = ["Products", "hessian_products"]

TOGETHER = 64
"""Points whose products are computed together, at the most; fewer where caches hold fewer."""

LOST = 0.5
"""Share of a direction's entry that rounding may take where products are differences."""

type Products = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes points and directions, both ``(K, D)``; returns the products ``(K, D)``."""


def hessian_products(target: Target) -> Products:
    """A function of points and directions: the Hessian of log p at each times its direction.

    By JAX's forward over reverse mode where the density traces, otherwise by central differences
    of the score; directions should then have about the length of a standard deviation. Those that
    are too short for the precision to tell their ends apart have products of NaN.

    Parameters
    ----------
    target : Target
        The log density.
    """
    by_differences = _by_differences(target)
    if not target.traceable:
        return by_differences
    function = target.compiled("hessian products", lambda: _compiled(target))
    usable = True

    def products(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
        nonlocal usable
        if not len(points):
            return np.empty(points.shape)  # all coordinates are global
        if usable:
            try:
                with precision(target.dtype):
                    found = function(
                        points.astype(target.dtype),
                        directions.astype(target.dtype),
                        target.batch(),
                    )
                    return np.asarray(found, np.float64)
            except (NotImplementedError, TypeError, ValueError):
                usable = False  # an operation without forward mode (a custom_vjp, say)
        return by_differences(points, directions)

    return products


def _compiled(target: Target) -> Any:
    score: Any = jax.grad(traceable_density(target))

    def products(points: jax.Array, directions: jax.Array, batch: Any) -> jax.Array:
        def product(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
            point, direction = pair
            tangent: jax.Array = jax.jvp(lambda z: score(z, batch), (point,), (direction,))[1]
            return tangent

        # each array has its tangent beside it
        together = max(1, min(TOGETHER, points_together(score, points[0], batch) // 2))
        found: jax.Array = jax.lax.map(product, (points, directions), batch_size=together)
        return found

    return jitted(products)


def _by_differences(target: Target) -> Products:
    # rounding, eps / h, is balanced against the error of central differences, h**2
    step = float(np.finfo(target.dtype).eps) ** (1 / 3)
    evaluate = evaluation(target)

    def products(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
        ends = [(points + side * directions).astype(target.dtype) for side in (step, -step)]
        above, below = (evaluate(end)[1] for end in ends)
        found: np.ndarray = (above - below) / (2 * step)
        # a direction that rounding swallows has no product, least of all 0
        made = (ends[0].astype(np.float64) - ends[1]) / (2 * step)
        lost = np.any(np.abs(made - directions) > LOST * np.abs(directions), axis=-1)
        found[lost] = np.nan
        return found

    return products
