"""Draws of q as an ArviZ DataTree: constrained values, log densities, data, and the record of
the fit.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr

from vi.families.family import Family, Params
from vi.foundation.precision import precision
from vi.foundation.seeds import key_from

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["density", "draw", "sample_approx"]

BLOCK = 1024


def sample_approx(
    approx: Approximation,
    draws: int = 100,
    include_transformed: bool = False,
    *,
    random_seed: Any = None,
) -> xr.DataTree:
    """Draw from an approximation: ``approx.sample`` as a function, as in PyMC.

    Parameters
    ----------
    approx : Approximation
        What to draw from.
    draws : int
        Number of draws.
    include_transformed : bool
        Whether to add the unconstrained values.
    random_seed : int, optional
        Seed of the draws; new ones at every call by default.

    Returns
    -------
    xarray.DataTree
        See :meth:`vi.Approximation.sample`.

    Raises
    ------
    TypeError
        If `approx` is not an approximation.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu")
    >>> vi.sample_approx(vi.MeanField(model=model), draws=10)["posterior"]["mu"].shape
    (1, 10)
    """
    from vi.approximation.approximation import Approximation

    if not isinstance(approx, Approximation):
        raise TypeError(
            f"approx must be a vi.Approximation (what vi.fit returns), got {type(approx).__name__}."
        )
    return approx.sample(draws, include_transformed=include_transformed, random_seed=random_seed)


def draw(
    family: Family, params: Params, seed: int, draws: int, dtype: np.dtype, *, density: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """``draws`` points of q, shape ``(draws, D)``, and ``log q`` at each if asked for and
    defined.
    """
    with precision(dtype):
        keys = jax.random.split(key_from(seed), draws)
        if density and family.has_density:
            points, log_q = _draw_and_log_prob(family)(params, keys)
            return np.asarray(points), np.asarray(log_q)
        return np.asarray(_draw(family)(params, keys)), None


def density(family: Family, params: Params, points: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return ``log q`` at points ``(..., D)``."""
    points = np.asarray(points, dtype)
    with precision(dtype):
        flat = _log_prob(family)(params, points.reshape(-1, points.shape[-1]))
    return np.asarray(flat).reshape(points.shape[:-1])


@functools.cache
def _draw(family: Family) -> Any:
    return jax.jit(
        lambda params, keys: jax.lax.map(
            lambda key: family.draw(params, family.noise(key, params)), keys, batch_size=BLOCK
        )
    )


@functools.cache
def _draw_and_log_prob(family: Family) -> Any:
    return jax.jit(
        lambda params, keys: jax.lax.map(
            lambda key: family.draw_and_log_prob(params, family.noise(key, params)),
            keys,
            batch_size=BLOCK,
        )
    )


@functools.cache
def _log_prob(family: Family) -> Any:
    return jax.jit(
        lambda params, points: jax.lax.map(
            lambda z: family.log_prob(params, z), points, batch_size=BLOCK
        )
    )
