"""Markov chains from an approximation: BlackJAX's kernels, started at draws of q and measured by its covariance."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from arviz_stats.base import array_stats

from vi.approximation.draws import draw, fit_record, to_datatree
from vi.approximation.seeds import key_from, resolve_seed
from vi.approximation.settled import all_rows
from vi.options import check_count
from vi.precision import precision
from vi.targets.base import Target
from vi.targets.density import traceable_density

if TYPE_CHECKING:
    from vi.approximation.core import Core

__all__ = ["METHODS", "inverse_mass_matrix", "sample_mcmc", "starting_points"]

METHODS = {"nuts": 0.8, "hmc": 0.8, "rmh": 0.234}
"""The kernels, and the acceptance rate that each is tuned to."""

LARGEST_DENSE = 500
"""Dimensions up to which q's whole covariance is used by default."""

RHAT = 1.01

TRIES = 10

STARTS, CHAINS = 11, 12
"""Streams of the seed."""


class _Plan(NamedTuple):
    """What the compiled code of the chains depends on."""

    method: str
    draws: int
    tune: int
    accept: float
    integration_steps: int | None


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
    for name, value in (("draws", draws), ("chains", chains), ("integration_steps", integration_steps)):
        if value is not None or name != "integration_steps":
            check_count(name, value)
    if isinstance(tune, bool) or not isinstance(tune, int | np.integer) or tune < 0:
        raise ValueError(f"tune={tune!r}: must be a whole number of at least 0.")
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; use one of {', '.join(map(repr, METHODS))}.")
    accept = METHODS[method] if target_accept is None else target_accept
    if isinstance(accept, bool) or not isinstance(accept, int | float | np.number) or not 0 < accept < 1:
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
        points, stats, steps = _compiled(target, plan)(keys, starts, np.asarray(matrix, target.dtype), target.batch())
    z = np.asarray(points)
    posterior = target.constrain(z.reshape(-1, target.dim))
    if include_transformed:
        flat = target.layout.unflatten(z.reshape(-1, target.dim))
        posterior |= {name: value for name, value in flat.items() if name not in posterior}
    record = fit_record(approx.hist, approx.settings())  # type: ignore[attr-defined]
    sample_stats = {name: np.asarray(value).reshape(-1) for name, value in stats.items()}
    tree = to_datatree(approx.model, posterior, sample_stats, record, store_data, chains=int(chains))
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


def starting_points(approx: Core, chains: int, seed: int) -> np.ndarray:
    """Draws of q at which log p is finite, ``(chains, D)``."""
    stream = int(np.random.SeedSequence(seed, spawn_key=(STARTS,)).generate_state(1)[0])
    points, _ = draw(approx.family, approx.reported, stream, TRIES * chains, approx.dtype)
    good = points[np.isfinite(all_rows(approx).log_prob(points))]
    if len(good) < chains:
        raise ValueError(
            f"log p is finite at {len(good)} of {len(points)} draws of the approximation only: chains cannot start "
            "there. Fit on before sampling."
        )
    return good[:chains]


def inverse_mass_matrix(approx: Core, metric: str | None) -> np.ndarray:
    """The covariance of q ``(D, D)``, or its variances ``(D,)``."""
    if metric not in (None, "dense", "diagonal"):
        raise ValueError(f"metric={metric!r} is unknown; use 'dense', 'diagonal' or None (what suits q).")
    with precision(approx.dtype):
        variances = np.square(np.asarray(jax.jit(approx.family.std)(approx.reported)))
        if not np.all(np.isfinite(variances) & (variances > 0)):
            bad = approx.layout.describe(np.flatnonzero(~(variances > 0)))
            raise ValueError(f"The approximation has no spread in {bad}: it cannot measure the steps of a chain.")
        if metric == "diagonal" or (metric is None and approx.ndim > LARGEST_DENSE):
            return variances
        cov = np.asarray(jax.jit(approx.family.cov)(approx.reported))
    sds = np.sqrt(variances)
    correlations = cov / np.outer(sds, sds)
    regular = np.all(np.isfinite(cov)) and np.linalg.eigvalsh(correlations)[0] > np.sqrt(np.finfo(cov.dtype).eps)
    if metric is None:
        return cov if regular and np.any(cov - np.diag(np.diag(cov))) else variances
    if not regular:
        raise ValueError("metric='dense': the covariance of the approximation is singular; use metric='diagonal'.")
    return cov


def _compiled(target: Target, plan: _Plan) -> Callable[..., Any]:
    """The chains of a plan as one compiled call, kept with the target."""
    kept: dict[_Plan, Any] = target.__dict__.setdefault("_chains", {})
    if plan not in kept:
        density = traceable_density(target)

        def run(keys: jax.Array, starts: jax.Array, matrix: jax.Array, batch: Any) -> Any:
            def chain(key: jax.Array, start: jax.Array) -> Any:
                return _chain(plan, lambda z: density(z, batch), matrix, key, start)

            return jax.vmap(chain)(keys, starts)

        kept[plan] = jax.jit(run)
    compiled: Callable[..., Any] = kept[plan]
    return compiled


def _chain(plan: _Plan, density: Any, matrix: jax.Array, key: jax.Array, start: jax.Array) -> Any:
    """Points and statistics of one chain after tuning its step size, and that size."""
    kernel, first = _kernel(plan, density, matrix, start.size)
    begin, update, final = _blackjax().adaptation.step_size.dual_averaging_adaptation(plan.accept)
    tuning, sampling = jax.random.split(key)

    def tune(carry: Any, key: jax.Array) -> Any:
        state, adaptation = carry
        state, info = kernel(jnp.exp(adaptation.log_step_size)).step(key, state)
        return (state, update(adaptation, info.acceptance_rate)), None

    def step(state: Any, key: jax.Array) -> Any:
        state, info = sampler.step(key, state)
        return state, (state.position, _statistics(plan.method, state, info))

    size = jnp.asarray(first, start.dtype)
    state = kernel(size).init(start)
    if plan.tune:
        (state, adaptation), _ = jax.lax.scan(tune, (state, begin(size)), jax.random.split(tuning, plan.tune))
        size = final(adaptation)
    sampler = kernel(size)
    _, (points, statistics) = jax.lax.scan(step, state, jax.random.split(sampling, plan.draws))
    return points, statistics, size


def _kernel(plan: _Plan, density: Any, matrix: jax.Array, dim: int) -> tuple[Callable[[Any], Any], float]:
    """BlackJAX's sampler as a function of the step size in q's standard deviations, and the first size."""
    blackjax = _blackjax()
    if plan.method == "rmh":
        scale = jnp.sqrt(matrix) if matrix.ndim == 1 else jnp.linalg.cholesky(matrix)

        def walk(size: Any) -> Any:
            return blackjax.additive_step_random_walk(density, blackjax.mcmc.random_walk.normal(size * scale))

        return walk, 2.38 / dim**0.5
    if plan.method == "hmc":
        length = plan.integration_steps
        return lambda size: blackjax.hmc(density, size, matrix, length or _quarter_turn(size)), dim**-0.25
    return lambda size: blackjax.nuts(density, size, matrix), dim**-0.25


def _quarter_turn(size: jax.Array) -> jax.Array:
    """Steps of a trajectory at whose end a normal with q's covariance has forgotten where it was."""
    return jnp.ceil(0.5 * jnp.pi / size).astype(jnp.int32)


def _statistics(method: str, state: Any, info: Any) -> dict[str, jax.Array]:
    """What is kept of a step, by ArviZ's names."""
    kept = {"lp": state.logdensity, "acceptance_rate": info.acceptance_rate}
    if method == "rmh":
        return kept | {"accepted": info.is_accepted}
    kept |= {"diverging": info.is_divergent, "energy": info.energy, "n_steps": info.num_integration_steps}
    return kept | ({"tree_depth": info.num_trajectory_expansions} if method == "nuts" else {})


def _checked(target: Target, points: np.ndarray, stats: dict[str, Any]) -> dict[str, Any]:
    """The largest R-hat and the smallest effective sample size, with a warning where they are not good enough."""
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


def _blackjax() -> Any:
    try:
        return importlib.import_module("blackjax")
    except ImportError as error:
        raise ImportError('sample_mcmc needs BlackJAX: pip install "pymc-vi[mcmc]".') from error
