"""Draws of q: points, log densities at points, and draws as a DataTree."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import model_of_all_rows, target_of
from vi.approximation.record.parameters import reported_params
from vi.approximation.record.settings import describe_settings
from vi.approximation.results.datatree import fit_record, to_datatree, to_multitrace
from vi.approximation.results.streamed_rows import in_blocks, row_variables
from vi.families import Family, Params
from vi.foundation.arrays import refuse_masked
from vi.foundation.numbers import check_count
from vi.foundation.precision import precision
from vi.foundation.seeds import key_from, resolve_seed
from vi.targets.base import Target

__all__ = ["draw", "logp", "logq", "sample"]

BLOCK = 1024
"""Draws that are computed together: enough to fill the vector units, few enough that a flow's inner
layers fit into memory."""


def sample(
    fit: FitState,
    draws: int = 500,
    *,
    random_seed: Any = None,
    log_prob: bool = True,
    store_data: bool = True,
    include_transformed: bool | None = None,
    return_inferencedata: bool = True,
    rows: bool = False,
) -> xr.DataTree:
    """Draw from q.

    Parameters
    ----------
    draws : int
        Number of draws.
    random_seed : int, optional
        Seed of the draws; new ones at every call by default.
    log_prob : bool
        Whether to compute ``log p`` and ``log q`` of every draw (``sample_stats``); log p is
        that of the model's present data, and left out where the rows are streamed; log q is
        left out where q has no density (particles).
    store_data : bool
        Whether to copy observed and constant data into the result.
    include_transformed : bool, optional
        Whether to add the unconstrained values; by default as told to ``fit``.
    return_inferencedata : bool
        Whether draws come as a DataTree; otherwise they come as PyMC's ``MultiTrace``, with the
        unconstrained values and without log densities and data.
    rows : bool
        Whether deterministics over the rows of *streamed* data are computed too, in one pass
        over the stream; without it they are left out, and ``posterior.attrs["left_out"]`` names
        them. Those of data in memory are always there, of full length.

    Returns
    -------
    xarray.DataTree or pymc.backends.base.MultiTrace
        Groups ``posterior`` (constrained variables and deterministics, one chain),
        ``sample_stats`` (``log_p``, ``log_q``), ``observed_data``, ``constant_data``, ``fit``
        (the loss trace, and the settings as attributes).
    """
    check_count("draws", draws)
    if not return_inferencedata:
        log_prob, include_transformed = False, True
    if include_transformed is None:
        include_transformed = fit.include_transformed
    points, log_q = draw(
        fit.family,
        reported_params(fit),
        resolve_seed(random_seed),
        int(draws),
        fit.dtype,
        density=log_prob,
    )
    has_log_p = log_prob and fit.data.stream is None
    target = target_of(fit, "log_prob" if has_log_p else "draws")
    over_rows = row_variables(fit)
    posterior = target.constrain(points, tuple(n for n in target.names if n not in over_rows))
    if rows:
        posterior |= _of_all_rows(fit, points, target, over_rows)
    if include_transformed:
        values = fit.layout.unflatten(points)
        posterior |= {name: v for name, v in values.items() if name not in posterior}
    if not return_inferencedata:
        # the return type is what it is by default: a union would burden every caller
        trace: Any = to_multitrace(fit.model, posterior)
        return trace  # type: ignore[no-any-return]
    stats = {"log_p": _log_p(points, target)} if has_log_p else {}
    stats |= {} if log_q is None else {"log_q": log_q}
    record = fit_record(fit.losses, describe_settings(fit), fit.starts)
    streamed = () if fit.data.stream is None else tuple(fit.data.stream.fields)
    tree = to_datatree(model_of_all_rows(fit), posterior, stats, record, store_data, streamed)
    if over_rows and not rows:
        left_out = sorted(over_rows & {v.name for v in fit.model.deterministics})
        tree["posterior"].attrs["left_out"] = left_out
    return tree


def logp(fit: FitState, z: Any) -> np.ndarray:
    """Return the model's log density at unconstrained points ``(..., D)``.

    It is not normalised, and includes the log Jacobian determinants of the transforms.
    """
    points = _points(fit, z)
    if fit.data.stream is not None:
        raise TypeError(
            "logp: the rows are streamed, and the model's containers hold a few of them only. "
            "compute_log_likelihood(draws) reads all rows, block by block."
        )
    return target_of(fit).log_prob(points)


def logq(fit: FitState, z: Any) -> np.ndarray:
    """Return ``log q`` at unconstrained points ``(..., D)``."""
    points = _points(fit, z)
    with precision(fit.dtype):
        flat = _log_prob(fit.family)(reported_params(fit), points.reshape(-1, points.shape[-1]))
    return np.asarray(flat).reshape(points.shape[:-1])


def draw(
    family: Family, params: Params, seed: int, draws: int, dtype: np.dtype, *, density: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Points of q, ``(draws, D)``, and ``log q`` at each if asked for and defined, ``(draws,)``."""
    with precision(dtype):
        keys = jax.random.split(key_from(seed), draws)
        if density and family.has_density:
            points, log_q = _draw_and_log_prob(family)(params, keys)
            return np.asarray(points), np.asarray(log_q)
        return np.asarray(_draw(family)(params, keys)), None


def _points(fit: FitState, z: Any) -> np.ndarray:
    refuse_masked(z, "The points")
    points = np.asarray(z, fit.dtype)
    if points.ndim == 0 or points.shape[-1] != fit.layout.dim:
        raise ValueError(f"Points must have shape (..., {fit.layout.dim}), got {points.shape}.")
    return points


def _of_all_rows(
    fit: FitState, points: np.ndarray, target: Target, names: set[str]
) -> dict[str, np.ndarray]:
    """Deterministics over streamed rows, ``(draws, N, ...)``: one pass over the stream."""
    wanted = tuple(name for name in target.names if name in names)
    parts = [target.constrain(points, wanted) for _ in in_blocks(fit)] if wanted else []
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}


def _log_p(points: np.ndarray, target: Target) -> np.ndarray:
    try:
        return target.log_prob(points)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "log p cannot be evaluated on the model's present data (changed by pm.set_data, for "
            "predictions?): sample(log_prob=False) leaves it out."
        ) from error


# A family is settings alone: equal families share these compiled functions in the whole process.


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
