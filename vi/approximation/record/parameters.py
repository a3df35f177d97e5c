"""The parameters of q that a record holds: the iterate, its average, and what is reported."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.local_plan import encoded
from vi.families import Family, Params
from vi.foundation.arrays import refuse_masked
from vi.foundation.precision import precision

__all__ = [
    "averaged_params",
    "dense_covariance",
    "iterate",
    "mean_and_std",
    "reported_params",
    "with_params",
]


def averaged_params(fit: FitState) -> Params:
    """The parameters that a fit changes (of encoders, the weights), averaged where that is on."""
    if fit.run is None or fit.algorithm is None:
        return fit.start
    return fit.algorithm.report(fit.run)


def reported_params(fit: FitState) -> Params:
    """The parameters that are reported: averaged ones, with encoders applied to all rows."""
    if all(group.encoder is None for group in fit.local):
        return averaged_params(fit)
    # an encoder reads all rows: once for each record
    return fit.compiled("reported", lambda: encoded(fit, averaged_params(fit)))


def mean_and_std(fit: FitState, params: Params | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviations of q, ``(D,)`` each, in double precision; the reported ones."""
    with precision(fit.dtype):
        mean, std = _moments(fit.family, reported_params(fit) if params is None else params)
    return np.asarray(mean, np.float64), np.asarray(std, np.float64)


def dense_covariance(fit: FitState, params: Params) -> np.ndarray:
    """Covariance of q, ``(D, D)`` or variances ``(D,)`` where that is all, in double precision."""
    with precision(fit.dtype):
        return np.asarray(_cov(fit.family, params), np.float64)


@functools.partial(jax.jit, static_argnums=0)
def _cov(family: Family, params: Params) -> jax.Array:
    return family.cov(params)


@functools.partial(jax.jit, static_argnums=0)
def _moments(family: Family, params: Params) -> tuple[jax.Array, jax.Array]:
    return family.mean(params), family.std(params)


def iterate(fit: FitState) -> dict[str, np.ndarray]:
    """The raw iterate, from which ``refine`` goes on, as NumPy arrays."""
    params = fit.start if fit.run is None else fit.run.params
    return {name: np.array(value) for name, value in params.items()}


def with_params(fit: FitState, params: Mapping[str, Any]) -> FitState:
    """The record with other parameters, in the iterate and in its average.

    Parameters
    ----------
    fit : FitState
        The record.
    params : mapping of {str: array}
        All parameters, or some.

    Raises
    ------
    ValueError, TypeError
        If they cannot be those of the family, or an encoder makes them.
    """
    if any(group.encoder is not None for group in fit.local):
        raise TypeError(
            "The parameters of an encoded group are what its encoder makes of the rows, and cannot "
            "be set."
        )
    if not isinstance(params, Mapping):
        raise TypeError(f"params={params!r}: give parameters by name, a dict of arrays.")
    old = reported_params(fit)
    with precision(fit.dtype):
        new = old | {name: _parameter(name, value, old) for name, value in params.items()}
        if fit.run is None or fit.algorithm is None:
            # of what was found in one go (an evidence, say) nothing is true any more
            return replace(fit, start=new, free_mean=None, given_std=None, notes={})
        afresh = fit.algorithm.init(new, fit.run.key)
    run = afresh._replace(optimizer=fit.run.optimizer, step=fit.run.step)
    return replace(fit, run=run, free_mean=None, given_std=None, warm_start=False)


def _parameter(name: str, value: Any, old: Params) -> Any:
    """A value as a parameter of that name; refuse what cannot be one."""
    if name not in old:
        raise ValueError(f"There is no parameter {name!r}; there are {', '.join(old)}.")
    refuse_masked(value, f"The parameter {name!r}")
    array = np.asarray(value)
    if array.shape != old[name].shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"The parameter {name!r} is an array {old[name].dtype} {old[name].shape}, got "
            f"{array.dtype} {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"The parameter {name!r} has values that are not finite.")
    return jnp.asarray(array, old[name].dtype)
