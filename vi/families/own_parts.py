"""What a structured family draws given its globals, from noise and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import Params
from vi.families.runs import taken
from vi.families.ties import Ties

__all__ = [
    "centres",
    "density_of_noise",
    "noise_of",
    "own_parts",
    "shape_given",
    "squares",
    "variances",
]

CENTRES = 512
"""Values of the global noise over which moments are averaged that have no closed form, in pairs."""

FEW_ROWS = 16
"""Globals over which a sum is written out."""


def centres(globals_: int, dtype: np.dtype) -> jax.Array:
    """Fixed values of the global noise, ``(512, g)``."""
    half = np.random.default_rng(0).standard_normal((CENTRES // 2, globals_))
    return jnp.asarray(np.concatenate([half, -half]), dtype)


def shape_given(full: Params, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scales ``(n,)`` and weights ``(k,)`` given the global noise."""
    log_scale = full["log_scale"] + at @ full["log_scale_slope"]
    return jnp.exp(log_scale), full["weight"] + at @ full["weight_slope"]


def squares(slopes: jax.Array) -> jax.Array:
    """The sums ``(n,)`` of the squares of slopes ``(g, n)``.

    Of few rows row by row, which one loop takes; a sum over an axis is a call of its own.
    """
    if len(slopes) > FEW_ROWS:
        return jnp.sum(jnp.square(slopes), axis=0)
    return sum(map(jnp.square, slopes), jnp.zeros_like(slopes, shape=slopes.shape[1:]))


def own_parts(
    ties: Ties,
    inverse: bool,
    full: Params,
    scale: jax.Array,
    weight: jax.Array,
    noise: jax.Array,
) -> jax.Array:
    """The parts ``u`` of noise, ``(n,)``: what the others are besides following the globals.

    Parameters
    ----------
    ties : Ties
        Who takes from whom.
    inverse : bool
        Whether it is the parents' parts that are taken from, and not their noise.
    full : dict
        The parameters of the family.
    scale, weight, noise : jax.Array
        ``(n,)``, ``(k,)`` and ``(n,)``, in the order of the ties.
    """
    parts, known = [], noise[:0]
    for block in ties.blocks:
        part = scale[block.place] * noise[block.place]
        source = known if inverse else noise
        for column, w in zip(block.parents.T, block.columns(weight), strict=True):
            part = part + w * taken(source, column)
        parts.append(part)
        if inverse:
            known = ties.cut(jnp.concatenate([known, part]), _true_of(full))
    return jnp.concatenate(parts) if parts else noise


def noise_of(
    ties: Ties,
    inverse: bool,
    full: Params,
    scale: jax.Array,
    weight: jax.Array,
    parts: jax.Array,
) -> jax.Array:
    """The noise behind such parts: the inverse of :func:`own_parts`."""
    found, known = [], parts[:0]
    for block in ties.blocks:
        part = parts[block.place]
        source = parts if inverse else known
        for column, w in zip(block.parents.T, block.columns(weight), strict=True):
            part = part - w * taken(source, column)
        part = part / scale[block.place]
        found.append(part)
        if not inverse:
            known = ties.cut(jnp.concatenate([known, part]), _true_of(full))
    return jnp.concatenate(found) if found else parts


def _true_of(full: Params) -> jax.Array:
    """A scalar that is true, which compilation does not know, and the same for all draws."""
    return full["mu"][0] != jnp.inf


def variances(ties: Ties, inverse: bool, full: Params) -> jax.Array:
    """Variances of the parts; of an inverse one with ties as if the weights were fixed."""
    square = jnp.exp(2.0 * (full["log_scale"] + squares(full["log_scale_slope"])))
    if inverse:
        return ties.variances(square, full["weight"])
    return square + ties.sums(jnp.square(full["weight"]) + squares(full["weight_slope"]))


def density_of_noise(
    ties: Ties, inverse: bool, full: Params, factor: jax.Array, noise: jax.Array
) -> tuple[jax.Array, jax.Array]:
    r"""The log determinant of :math:`J = dz / de` at a draw, and the score of q there.

    .. math:: \nabla \log q(z) = -J^{-\top} (e + \nabla_e \log |J|)

    Parameters
    ----------
    ties, inverse
        See :func:`own_parts`.
    full : dict
        The parameters of the family, all of them.
    factor : jax.Array
        The Cholesky factor of the globals, ``(g, g)``.
    noise : jax.Array
        ``(D,)``, that of the globals first.

    Returns
    -------
    tuple of jax.Array
        A scalar, and ``(D,)`` in the order of globals and ties.
    """
    at, own = jnp.split(noise, [len(factor)])
    bent = jnp.sum(full["log_scale_slope"], axis=1)
    log_det = jnp.sum(jnp.log(jnp.diag(factor))) + jnp.sum(full["log_scale"]) + bent @ at
    scale, weight = shape_given(full, at)
    (others,) = jax.linear_transpose(
        lambda parts: noise_of(ties, inverse, full, scale, weight, parts), own
    )(-own)

    def following(at: jax.Array) -> jax.Array:
        return at @ full["cross"] + own_parts(ties, inverse, full, *shape_given(full, at), own)

    (felt,) = jax.vjp(following, at)[1](others)
    ends = jax.scipy.linalg.solve_triangular(factor.T, -at - bent - felt, lower=False)
    return log_det, jnp.concatenate([ends, others])
