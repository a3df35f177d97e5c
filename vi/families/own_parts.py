"""What a structured family draws given its globals, from noise and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import Params
from vi.families.runs import taken
from vi.families.ties import Ties

__all__ = ["centres", "noise_of", "own_parts", "shape_given"]

CENTRES = 512
"""Values of the global noise over which moments are averaged that have no closed form, in pairs."""


def centres(globals_: int, dtype: np.dtype) -> jax.Array:
    """Fixed values of the global noise, ``(512, g)``."""
    half = np.random.default_rng(0).standard_normal((CENTRES // 2, globals_))
    return jnp.asarray(np.concatenate([half, -half]), dtype)


def shape_given(full: Params, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scales ``(n,)`` and weights ``(k,)`` given the global noise."""
    log_scale = full["log_scale"] + full["log_scale_slope"] @ at
    return jnp.exp(log_scale), full["weight"] + full["weight_slope"] @ at


def own_parts(
    ties: Ties, inverse: bool, scale: jax.Array, weight: jax.Array, noise: jax.Array
) -> jax.Array:
    """The parts ``u`` of noise, ``(n,)``: what the others are besides following the globals.

    Parameters
    ----------
    ties : Ties
        Who takes from whom.
    inverse : bool
        Whether it is the parents' parts that are taken from, and not their noise.
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
            known = jnp.concatenate([known, part])
    return jnp.concatenate(parts) if parts else noise


def noise_of(
    ties: Ties, inverse: bool, scale: jax.Array, weight: jax.Array, parts: jax.Array
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
            known = jnp.concatenate([known, part])
    return jnp.concatenate(found) if found else parts
