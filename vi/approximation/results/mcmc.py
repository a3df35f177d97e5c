"""Markov chains from an approximation: BlackJAX's kernels, started at draws of q and measured by
its covariance.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr
from arviz_stats.base import array_stats

from vi.approximation.results.blackjax_kernels import _blackjax, _compiled, _Plan
from vi.approximation.results.datatree import fit_record, to_datatree
from vi.approximation.results.metric import inverse_mass_matrix, starting_points
from vi.approximation.steps.in_one_go import all_rows
from vi.foundation.numbers import check_count
from vi.foundation.precision import precision
from vi.foundation.seeds import CHAINS, key_from, resolve_seed
from vi.targets.base import Target

if TYPE_CHECKING:
    from vi.approximation.record.fit_state import Core

__all__ = ["METHODS", "sample_mcmc"]

METHODS = {"nuts": 0.8, "hmc": 0.8, "rmh": 0.234}
"""The kernels, and the acceptance rate that each is tuned to."""


RHAT = 1.01


def sample_mcmc(
    approx: Core,
    draws: int,
    chains: int,
    method: str,
    tune: int,
    metric: str | None,
    target_accept: float | None,
    integration_steps: int | None,
    random_seed: Any,
    include_transformed: bool,
    store_data: bool,
) -> xr.DataTree:
    """See :meth:`vi.Approximation.sample_mcmc`."""
    for name, value in (
        ("draws", draws),
        ("chains", chains),
        ("integration_steps", integration_steps),
    ):
        if value is not None or name != "integration_steps":
            check_count(name, value)
    if isinstance(tune, bool) or not isinstance(tune, int | np.integer) or tune < 0:
        raise ValueError(f"tune={tune!r}: must be a whole number of at least 0.")
    if method not in METHODS:
        raise ValueError(
            f"method={method!r} is unknown; use one of {', '.join(map(repr, METHODS))}."
        )
    accept = METHODS[method] if target_accept is None else target_accept
    if (
        isinstance(accept, bool)
        or not isinstance(accept, int | float | np.number)
        or not 0 < accept < 1
    ):
        raise ValueError(f"target_accept={target_accept!r}: must lie between 0 and 1.")
    _blackjax()
    seed = resolve_seed(random_seed)
    target = all_rows(approx)
    if not target.traceable:
        why = getattr(target, "why", "")
        raise ValueError(
            f"Chains through BlackJAX need backend='jax', and the model is evaluated by {target.backend}"
            f"{f' ({why})' if why else ' (asked for)'}. PyMC takes over from here: pm.sample(initvals=approx.initvals"
            f"({chains}), step=approx.nuts_step(), model=approx.model)."
        )
    matrix = inverse_mass_matrix(approx, metric)
    plan = _Plan(method, int(draws), int(tune), float(accept), integration_steps)
    starts = starting_points(approx, int(chains), seed)
    with precision(target.dtype):
        keys = jax.random.split(key_from(seed, CHAINS), int(chains))
        points, stats, steps = _compiled(target, plan)(
            keys, starts, np.asarray(matrix, target.dtype), target.batch()
        )
    z = np.asarray(points)
    posterior = target.constrain(z.reshape(-1, target.dim))
    if include_transformed:
        flat = target.layout.unflatten(z.reshape(-1, target.dim))
        posterior |= {name: value for name, value in flat.items() if name not in posterior}
    record = fit_record(approx.hist, approx.settings())  # type: ignore[attr-defined]
    sample_stats = {name: np.asarray(value).reshape(-1) for name, value in stats.items()}
    tree = to_datatree(
        approx.model, posterior, sample_stats, record, store_data, chains=int(chains)
    )
    attributes = {
        "method": method,
        "tune": plan.tune,
        "target_accept": plan.accept,
        "metric": "dense" if matrix.ndim == 2 else "diagonal",
        "step_size": np.asarray(steps).tolist(),
        "random_seed": seed,
    }
    tree["sample_stats"].attrs |= attributes
    tree["posterior"].attrs |= _checked(target, z, stats)
    return tree


def _checked(target: Target, points: np.ndarray, stats: dict[str, Any]) -> dict[str, Any]:
    """The largest R-hat and the smallest effective sample size, with a warning where they are
    not good enough.
    """
    if points.shape[1] < 4:
        return {}
    rhat = np.atleast_1d(array_stats.rhat(points, chain_axis=0, draw_axis=1))
    ess = np.atleast_1d(array_stats.ess(points, chain_axis=0, draw_axis=1))
    worst = np.argsort(-np.nan_to_num(rhat, nan=np.inf))
    bad = worst[~(rhat[worst] <= RHAT)]
    if bad.size:
        warnings.warn(
            f"R-hat is {rhat[bad[0]]:.3f} in {target.layout.label(int(bad[0]))} and above {RHAT} in {bad.size} of "
            f"{rhat.size} coordinates: the chains do not agree yet. More draws or tune= steps may help.",
            UserWarning,
            stacklevel=4,
        )
    diverging = int(np.sum(np.asarray(stats["diverging"]))) if "diverging" in stats else 0
    if diverging:
        warnings.warn(
            f"{diverging} of {points.shape[0] * points.shape[1]} steps diverged: the chains may leave out a part of "
            "the posterior. A larger target_accept or another parametrisation of the model may help.",
            UserWarning,
            stacklevel=4,
        )
    return {"rhat_max": float(np.max(rhat)), "ess_min": float(np.min(ess))}
