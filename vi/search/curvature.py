"""The curvature of a log density at a point: minus its Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.compiling import jitted
from vi.foundation.precision import precision
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target

__all__ = ["curvature"]

COLUMNS = 64
"""Columns of a Hessian that are computed together: all at once would take D times the memory."""


def curvature(target: Target, point: np.ndarray) -> np.ndarray:
    r"""Minus the Hessian of ``log p`` at a point, ``(D, D)``.

    It is the precision of the normal that touches the density there. By JAX's forward over reverse
    mode where the density traces; otherwise by central differences of the score, whose steps are
    measured in the standard deviations that the curvature itself implies.

    Parameters
    ----------
    target : Target
        The log density.
    point : numpy.ndarray
        ``(D,)``.
    """
    if target.traceable:
        try:
            return _by_jax(target, point)
        except (NotImplementedError, TypeError, ValueError):
            pass  # an operation without forward mode (a custom_vjp, say)
    # of central differences: rounding, eps / h, is balanced against their error, h**2
    eps = np.finfo(target.dtype).eps ** (1 / 3)
    rough = _by_differences(target, point, eps * np.maximum(np.abs(point), 1.0))
    diagonal = np.diag(rough)
    good = np.isfinite(diagonal) & (diagonal > 0)
    lengths = np.where(
        good, 1.0 / np.sqrt(np.where(good, diagonal, 1.0)), np.maximum(np.abs(point), 1.0)
    )
    return _by_differences(target, point, eps * lengths)


def _by_jax(target: Target, point: np.ndarray) -> np.ndarray:
    function = target.compiled("curvature", lambda: _compiled(target))
    with precision(target.dtype):
        matrix = np.asarray(function(np.asarray(point, target.dtype), target.batch()))
    return 0.5 * (matrix + matrix.T)


def _compiled(target: Target) -> Callable[..., Any]:
    """A compiled function of a point and a batch: minus the Hessian, column by column."""
    score: Any = jax.grad(traceable_density(target))

    def columns(z: jax.Array, batch: Any) -> jax.Array:
        def column(direction: jax.Array) -> jax.Array:
            tangent: jax.Array = jax.jvp(lambda x: score(x, batch), (z,), (direction,))[1]
            return tangent

        rows: jax.Array = jax.lax.map(column, jnp.eye(z.size, dtype=z.dtype), batch_size=COLUMNS)
        return -rows

    return jitted(columns)


def _by_differences(target: Target, point: np.ndarray, steps: np.ndarray) -> np.ndarray:
    point = np.asarray(point, target.dtype)
    matrix = np.empty((point.size, point.size), target.dtype)
    batch = target.batch()
    with precision(target.dtype):
        for i, step in enumerate(steps):
            pair = np.stack([point, point])
            pair[:, i] += np.array([-step, step], target.dtype)
            _, (below, above) = (np.asarray(part) for part in target.value_and_score(pair, batch))
            with np.errstate(all="ignore"):  # what is not finite is the caller's to judge
                matrix[i] = (below - above) / (pair[1, i] - pair[0, i])
    return 0.5 * (matrix + matrix.T)
