"""Points of q, and log q at points, in blocks by compiled functions that are kept."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import numpy as np

from vi.families import Family, Params
from vi.foundation.batching import mapped
from vi.foundation.compiling import effort_for
from vi.foundation.precision import precision
from vi.foundation.seeds import key_from

__all__ = ["draw", "draw_with_density", "log_prob_at"]

BLOCK = 1024
"""Draws that are computed together: enough to fill the vector units, few enough that a flow's inner
layers fit into memory."""

COMPILED = 64
"""Functions of each kind that stay compiled, one for each family, shape and number of draws.

A family is settings alone, so equal ones share them in the whole process; without a limit a process
that fits one model after the other would grow by some MB with each.
"""


def draw(
    family: Family, params: Params, seed: int, draws: int, dtype: np.dtype, *, density: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Points of q, ``(draws, D)``, and ``log q`` at each if asked for and defined, ``(draws,)``."""
    with precision(dtype):
        key = key_from(seed)
        if density and family.has_density:
            return draw_with_density(family, params, key, draws)
        return np.asarray(_draw(family, _shapes(params, draws))(params, key)), None


def draw_with_density(
    family: Family, params: Params, key: jax.Array, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points of q and ``log q`` at each; within the precision of the fit."""
    points, log_q = _draw_and_log_prob(family, _shapes(params, draws))(params, key)
    return np.asarray(points), np.asarray(log_q)


def log_prob_at(family: Family, params: Params, points: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return ``log q`` at points ``(S, D)``, ``(S,)``."""
    with precision(dtype):
        return np.asarray(_log_prob(family, _shapes(params, len(points)))(params, points))


def _shapes(params: Params, draws: int) -> tuple[Any, ...]:
    """What code is compiled for."""
    return draws, *((np.shape(leaf), str(leaf.dtype)) for leaf in jax.tree.leaves(params))


def _effort_for(shapes: tuple[Any, ...]) -> dict[str, Any]:
    """XLA's options: every draw is about as many numbers as q has parameters."""
    draws, *leaves = shapes
    return effort_for(draws * sum(math.prod(shape) for shape, _ in leaves))


@functools.lru_cache(COMPILED)
def _draw(family: Family, shapes: tuple[Any, ...]) -> Any:
    return jax.jit(
        lambda params, key: mapped(
            lambda key: family.draw(params, family.noise(key, params)),
            jax.random.split(key, shapes[0]),
            BLOCK,
        ),
        compiler_options=_effort_for(shapes),
    )


@functools.lru_cache(COMPILED)
def _draw_and_log_prob(family: Family, shapes: tuple[Any, ...]) -> Any:
    return jax.jit(
        lambda params, key: mapped(
            lambda key: family.draw_and_log_prob(params, family.noise(key, params)),
            jax.random.split(key, shapes[0]),
            BLOCK,
        ),
        compiler_options=_effort_for(shapes),
    )


@functools.lru_cache(COMPILED)
def _log_prob(family: Family, shapes: tuple[Any, ...]) -> Any:
    return jax.jit(
        lambda params, points: mapped(lambda z: family.log_prob(params, z), points, BLOCK),
        compiler_options=_effort_for(shapes),
    )
