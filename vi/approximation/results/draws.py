"""Draws of q: points, log densities at points, and draws as a DataTree."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.judgement import present_diagnosis
from vi.approximation.record.log_density import (
    model_of_all_rows,
    target_of,
    target_without_rows,
)
from vi.approximation.record.parameters import reported_params
from vi.approximation.record.settings import settings
from vi.approximation.results.contents import contents
from vi.approximation.results.datatree import fit_record, to_datatree, to_multitrace
from vi.approximation.results.points import draw, log_prob_at
from vi.approximation.results.streamed_rows import in_blocks
from vi.approximation.results.weighted_draws import how_weighed, resampled
from vi.foundation.arrays import refuse_masked
from vi.foundation.numbers import check_count, check_flags, flag
from vi.foundation.seeds import resolve_seed
from vi.targets.base import Target

__all__ = ["logp", "logq", "names_from", "sample"]

logger = logging.getLogger("vi")


def sample(  # noqa: PLR0913 (what PyMC names, and what is dear)
    fit: FitState,
    draws: int = 500,
    *,
    random_seed: Any = None,
    log_prob: bool | None = None,
    store_data: bool | None = None,
    include_transformed: bool | None = None,
    return_inferencedata: bool = True,
    rows: bool | None = None,
    var_names: Sequence[str] | None = None,
    resample: str | None = "auto",
) -> xr.DataTree:
    """Draw from q.

    Parameters
    ----------
    draws : int
        Number of draws.
    random_seed : int, optional
        Seed of the draws; new ones at every call by default.
    log_prob : bool, optional
        Whether to compute ``log p`` and ``log q`` of every draw (``sample_stats``). By default
        both; log p, that of the model's present data, is left out where the rows are streamed, and
        where there are minibatches whose data have more than 1e9 entries, counted once for each
        draw. log q is left out where q has no density (particles).
    store_data : bool, optional
        Whether to copy observed and constant data into the result; by default they are, but for
        minibatches whose data have more than 1e7 entries.
    include_transformed : bool, optional
        Whether to add the unconstrained values; by default as told to ``fit``.
    return_inferencedata : bool
        Whether draws come as a DataTree; otherwise they come as PyMC's ``MultiTrace``, with the
        unconstrained values and without log densities and data.
    rows : bool, optional
        Whether deterministics over the rows of minibatches are computed too. By default not those
        of *streamed* data, which take one pass over the stream, and those of data in memory, of
        full length, where log p is computed.
    var_names : sequence of str, optional
        Variables and deterministics that the draws are to have; the others are not computed.
    resample : {"auto", "psis"}, optional
        Whether the draws are made to stand for the posterior. ``"psis"``: ten times as many draws
        of q, at least 2,000, are weighed by p / q (Pareto-smoothed), and chosen by their weights;
        one may come more than once. ``posterior.attrs["pareto_k"]`` says how far that can be relied
        on: up to 0.7; see :meth:`diagnose`. ``"auto"`` does so where ``method="auto"`` has found
        that it can be relied on, ``None`` never.

    Returns
    -------
    xarray.DataTree or pymc.backends.base.MultiTrace
        Groups ``posterior`` (constrained variables and deterministics, one chain),
        ``sample_stats`` (``log_p``, ``log_q``), ``observed_data``, ``constant_data``, ``fit``
        (the loss trace, and the settings as attributes), and ``diagnosis`` where the fit was
        diagnosed (its tables, and the verdict as attributes). ``posterior.attrs["left_out"]`` names
        what was left out because it needs all rows: deterministics, ``log_p``, ``data``.
    """
    check_count("draws", draws)
    flag("return_inferencedata", return_inferencedata)
    switches = {"log_prob": log_prob, "store_data": store_data, "rows": rows}
    check_flags(optional=True, include_transformed=include_transformed, **switches)
    if not return_inferencedata:
        include_transformed = True
    if include_transformed is None:
        include_transformed = fit.include_transformed
    var_names = names_from(var_names)
    seed, weights = resolve_seed(random_seed), None
    resample = how_weighed(fit, resample)
    if resample is None:
        density = log_prob is not False
        params = reported_params(fit)
        points, log_q = draw(fit.family, params, seed, int(draws), fit.dtype, density=density)
    else:
        points, log_q, weights = resampled(fit, resample, seed, int(draws))
        log_q = None if log_prob is False else log_q
    holds = contents(
        fit, int(draws), log_prob=log_prob, store_data=store_data, rows=rows, var_names=var_names
    )
    if holds.log_p:
        target = target_of(fit)
    elif holds.rows or not holds.as_trained:
        target = target_of(fit, "draws")
    else:
        target = target_without_rows(fit)
    transformed = fit.layout.unflatten(points) if include_transformed else {}
    chosen = _chosen(var_names, [*target.names, *transformed])
    names = tuple(n for n in target.names if n not in holds.over_rows and n in chosen)
    posterior = target.constrain(points, names) if names else {}
    if holds.rows:
        posterior |= _over_rows(fit, points, target, holds.over_rows & chosen)
    posterior |= {n: v for n, v in transformed.items() if n not in posterior and n in chosen}
    if not return_inferencedata:
        # the return type is what it is by default: a union would burden every caller
        trace: Any = to_multitrace(fit.model, posterior)
        return trace  # type: ignore[no-any-return]
    stats = {"log_p": _log_p(points, target)} if holds.log_p else {}
    stats |= {} if log_q is None else {"log_q": log_q}
    record = fit_record(fit.losses, settings(fit), fit.starts, fit.stages)
    streamed = () if fit.data.stream is None else tuple(fit.data.stream.fields)
    tree = to_datatree(model_of_all_rows(fit), posterior, stats, record, holds.data, streamed)
    _add_verdict(tree, fit)
    if weights is not None:
        tree["posterior"].attrs |= {"resampled": "psis", "pareto_k": weights.k}
    if holds.left_out:
        tree["posterior"].attrs["left_out"] = holds.left_out
        logger.info(
            "Left out of the draws, because all rows are needed: %s. sample(log_prob=True, "
            "rows=True, store_data=True) has what can be had.",
            ", ".join(holds.left_out),
        )
    return tree


def _add_verdict(tree: xr.DataTree, fit: FitState) -> None:
    """Put the last diagnosis beside the draws, where there is one on the present data."""
    diagnosis = present_diagnosis(fit)
    if diagnosis is not None:
        tree["diagnosis"] = xr.DataTree(diagnosis.to_dataset())


def names_from(var_names: Any, argument: str = "var_names") -> list[str] | None:
    """The names of variables as a list, or None for all; refuse what is no list of names."""
    if var_names is None:
        return None
    if isinstance(var_names, str):
        return [var_names]
    if not isinstance(var_names, Sequence) or not all(isinstance(n, str) for n in var_names):
        raise TypeError(f"{argument}={var_names!r}: give a list of names of variables.")
    if not var_names:
        raise ValueError(f"{argument} is empty; name the variables, or leave it out to have all.")
    return list(var_names)


def _chosen(var_names: Sequence[str] | None, known: Sequence[str]) -> set[str]:
    """The names that draws are to have."""
    if var_names is None:
        return set(known)
    unknown = [name for name in var_names if name not in known]
    if unknown:
        raise ValueError(
            f"var_names has {', '.join(map(repr, unknown))}; the draws have "
            f"{', '.join(map(repr, dict.fromkeys(known)))}."
        )
    return set(var_names)


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
    flat = points.reshape(-1, points.shape[-1])
    log_q = log_prob_at(fit.family, reported_params(fit), flat, fit.dtype)
    return log_q.reshape(points.shape[:-1])


def _points(fit: FitState, z: Any) -> np.ndarray:
    refuse_masked(z, "The points")
    try:
        given = np.asarray(z)
    except ValueError:  # rows of different lengths
        given = np.asarray(None)
    if given.dtype.kind not in "fiub":
        raise TypeError(f"z={z!r}: give points, real numbers of shape (..., {fit.layout.dim}).")
    points = given.astype(fit.dtype)
    if points.ndim == 0 or points.shape[-1] != fit.layout.dim:
        raise ValueError(f"Points must have shape (..., {fit.layout.dim}), got {points.shape}.")
    return points


def _over_rows(
    fit: FitState, points: np.ndarray, target: Target, names: frozenset[str]
) -> dict[str, np.ndarray]:
    """Deterministics over all rows, ``(draws, N, ...)``; of a stream in one pass over it."""
    wanted = tuple(name for name in target.names if name in names)
    if fit.data.stream is None or not wanted:
        return target.constrain(points, wanted) if wanted else {}
    parts = [target.constrain(points, wanted) for _ in in_blocks(fit)]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}


def _log_p(points: np.ndarray, target: Target) -> np.ndarray:
    try:
        return target.log_prob(points)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "log p cannot be evaluated on the model's present data (changed by pm.set_data, for "
            "predictions?): sample(log_prob=False) leaves it out."
        ) from error
