"""The components of a fitted mixture, for a verdict on it."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.approximation.results.image_fits import image_fits
from vi.diagnostics.modes import Found
from vi.diagnostics.parts import Parts, root_of
from vi.families import Family, Mixture, Params
from vi.foundation.precision import precision
from vi.targets.base import Target

__all__ = ["images_of_parts", "log_parts_at", "parts_of"]

BLOCK = 1024
"""Points that are computed together."""


def parts_of(family: Family, params: Params, dtype: np.dtype, *, dense: bool) -> Parts | None:
    """The components of q; none where it is no mixture, or one of a single component.

    Parameters
    ----------
    family : Family
        Of q.
    params : dict of arrays
        Its parameters.
    dtype : numpy.dtype
        Precision of the fit.
    dense : bool
        Whether covariances are looked at, and not variances alone.
    """
    if not isinstance(family, Mixture) or family.components == 1:
        return None
    one = family.family
    with precision(dtype):
        each = family.parts(params)
        weights = np.asarray(family.weights(params), np.float64)
        mean, std = (np.asarray(jax.vmap(f)(each), np.float64) for f in (one.mean, one.std))
        whole = [np.asarray(f(params), np.float64) for f in (family.mean, family.std)]
        covs: Any = [None] * len(mean)
        if dense:
            covs = np.asarray(jax.vmap(one.cov)(each), np.float64)

    roots = tuple(root_of(cov, sd) for cov, sd in zip(covs, std, strict=True))

    def log_parts(points: np.ndarray) -> np.ndarray:
        return log_parts_at(family, params, points, dtype)

    return Parts(whole[0], whole[1], weights, mean, std, roots, log_parts)


def images_of_parts(
    target: Target, parts: Parts, points: np.ndarray, log_p: np.ndarray
) -> list[Found]:
    """What each component alone would be at its images.

    Parameters
    ----------
    target : Target
        The log density.
    parts : Parts
        The components.
    points : numpy.ndarray
        Draws of q at which log p is finite, ``(S, D)``.
    log_p : numpy.ndarray
        At them, ``(S,)``.
    """
    logs, found = parts.log_parts(points), list[Found]()
    for part, weight in enumerate(parts.weights):
        own = logs.argmax(axis=1) == part
        each = image_fits(target, points[own], log_p[own], logs[own, part] - np.log(weight))
        found += [replace(f, name=f.name.replace("q", f"component {part}", 1)) for f in each]
    return found


def log_parts_at(
    family: Mixture, params: Params, points: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """Log of each component's density times its weight at points ``(S, D)``, ``(S, K)``."""
    with precision(dtype):
        return np.asarray(_log_parts(family, params, points.astype(dtype)), np.float64)


@functools.partial(jax.jit, static_argnums=0)
def _log_parts(family: Mixture, params: Params, points: jax.Array) -> jax.Array:
    logs: jax.Array = jax.lax.map(lambda z: family.log_parts(params, z), points, batch_size=BLOCK)
    return logs
