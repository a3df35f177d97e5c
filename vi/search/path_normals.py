"""Normals along the path of an L-BFGS search, with the inverse Hessian as learnt up to a point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["PAIRS", "PathNormal", "draw_from", "elbos_along", "normals_along"]

PAIRS = 6
"""Pairs of differences behind a normal."""

CURVED = 1e-12
"""Pairs that show less curvature than this are left out."""

BLOCK = 16
"""Points of a path whose draws are evaluated together."""


class PathNormal(NamedTuple):
    r"""A normal :math:`N(m, A (I + Q (L L^\top - I) Q^\top) A)` with ``A = diag(sqrt(alpha))``.

    Parameters
    ----------
    mean : jax.Array
        ``m``, ``(D,)``.
    scale : jax.Array
        ``sqrt(alpha)``, ``(D,)``.
    basis : jax.Array
        ``Q``, ``(D, k)``, orthonormal columns.
    factor : jax.Array
        ``L``, ``(k, k)``, lower triangular.
    """

    mean: jax.Array
    scale: jax.Array
    basis: jax.Array
    factor: jax.Array


def normals_along(points: jax.Array, scores: jax.Array) -> PathNormal:
    """The normals at the points ``(T, D)`` of one path; the first axis is ``T``.

    ``scores``, ``(T, D)``, are the gradients of log p at the points.

    Those of Zhang et al. (2022): the inverse Hessian ``H`` is a diagonal, updated from pair to
    pair, with the last ``PAIRS`` pairs in the compact form of Byrd, Nocedal and Schnabel (1994);
    the mean is a Newton step from the point.
    """

    def learn(carry: Any, pair: Any) -> Any:
        alpha, moves, changes = carry
        move, change = pair
        bend = jnp.vdot(move, change)
        curved = bend > CURVED * jnp.vdot(change, change)
        bend = jnp.where(curved, bend, 1.0)
        a = jnp.sum(alpha * change**2)
        c = jnp.where(curved, jnp.sum(move**2 / alpha), 1.0)
        inverse = (a / alpha + change**2 - a * move**2 / (c * alpha**2)) / bend
        new = (1.0 / inverse, _push(moves, move), _push(changes, change))
        carry = jax.tree.map(lambda new, old: jnp.where(curved, new, old), new, carry)
        return carry, carry

    dim = points.shape[1]
    empty = jnp.zeros((PAIRS, dim), points.dtype)
    first = (jnp.ones(dim, points.dtype), empty, empty)
    pairs = (jnp.diff(points, axis=0), -jnp.diff(scores, axis=0))
    _, later = jax.lax.scan(learn, first, pairs)
    states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, later)
    return jax.vmap(_normal)(points, scores, *states)


def elbos_along(
    density: Callable[[jax.Array], jax.Array], normals: PathNormal, keys: jax.Array, draws: int
) -> jax.Array:
    """The ELBO of each normal ``(T,)``, estimated from ``draws`` draws; -inf if not finite."""

    def elbo(normal: PathNormal, key: jax.Array) -> jax.Array:
        points, log_q = draw_from(normal, key, draws)
        value = jnp.mean(jax.vmap(density)(points) - log_q)
        return jnp.where(jnp.isfinite(value), value, -jnp.inf)

    values: jax.Array = jax.lax.map(lambda pair: elbo(*pair), (normals, keys), batch_size=BLOCK)
    return values


def draw_from(normal: PathNormal, key: jax.Array, draws: int) -> tuple[jax.Array, jax.Array]:
    """Draws ``(draws, D)`` of a normal, and their log densities ``(draws,)``."""
    dim = normal.mean.size
    noise = jax.random.normal(key, (draws, dim), normal.mean.dtype)
    within = noise @ normal.basis
    bent = noise + (within @ normal.factor.T - within) @ normal.basis.T
    log_det = jnp.sum(jnp.log(normal.scale)) + jnp.sum(jnp.log(jnp.diag(normal.factor)))
    log_q = -0.5 * jnp.sum(noise**2, axis=1) - log_det - 0.5 * dim * jnp.log(2 * jnp.pi)
    return normal.mean + normal.scale * bent, log_q


def _normal(
    point: jax.Array, score: jax.Array, alpha: jax.Array, moves: jax.Array, changes: jax.Array
) -> PathNormal:
    """The normal of ``H = diag(alpha) + B G B'``, the compact form of the inverse Hessian."""
    products = moves @ changes.T
    bends = jnp.diag(products)
    upper = jnp.triu(products) + jnp.diag(
        jnp.where(bends > 0, 0.0, 1.0)
    )  # an empty pair is a column of zeros in B
    inverse = jax.scipy.linalg.solve_triangular(upper, jnp.eye(PAIRS, dtype=alpha.dtype))
    corner = inverse.T @ (jnp.diag(bends) + (changes * alpha) @ changes.T) @ inverse
    middle = jnp.block([[jnp.zeros_like(inverse), -inverse], [-inverse.T, corner]])
    columns = jnp.concatenate([changes * alpha, moves]).T
    scale = jnp.sqrt(alpha)
    basis, triangle = jnp.linalg.qr(columns / scale[:, None])
    factor = jnp.linalg.cholesky(
        jnp.eye(len(triangle), dtype=alpha.dtype) + triangle @ middle @ triangle.T
    )
    mean = point + alpha * score + columns @ (middle @ (columns.T @ score))
    return PathNormal(mean, scale, basis, factor)


def _push(rows: jax.Array, new: jax.Array) -> jax.Array:
    """The rows without the oldest, with a new one at the end."""
    return jnp.concatenate([rows[1:], new[None]])
