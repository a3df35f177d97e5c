"""Markov chains that start at draws of q and measure their steps by its covariance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of, target_of_all_rows
from vi.approximation.record.settings import settings
from vi.approximation.results.blackjax_kernels import Plan, import_blackjax
from vi.approximation.results.datatree import fit_record, to_datatree
from vi.approximation.results.metric import inverse_mass_matrix, starting_points
from vi.approximation.results.running_chains import RunningChains
from vi.diagnostics.array_stats import array_stats
from vi.foundation.arguments import choice
from vi.foundation.numbers import check_count, check_flags, number, whole
from vi.foundation.seeds import resolve_seed
from vi.targets.base import Target

__all__ = ["METHODS", "agreement", "initvals", "nuts_step", "sample_mcmc", "tail_ess"]

METHODS = {"nuts": 0.8, "hmc": 0.8, "rmh": 0.234}
"""The kernels, and the acceptance rate that each is tuned to."""


RHAT = 1.01


def sample_mcmc(
    fit: FitState,
    draws: int = 1000,
    chains: int = 4,
    method: str = "nuts",
    *,
    tune: int = 500,
    metric: str | None = None,
    target_accept: float | None = None,
    integration_steps: int | None = None,
    random_seed: Any = None,
    include_transformed: bool = False,
    store_data: bool = True,
) -> xr.DataTree:
    """Markov chains of the posterior through BlackJAX (extra ``mcmc``), all at once.

    The chains start at draws of q. Its covariance is the inverse mass matrix of NUTS and HMC, and
    with the factor :math:`2.38^2 / D` the proposal's covariance of random-walk Metropolis. It stays
    as it is; tuning is for the length of the steps alone, each chain's own.

    Parameters
    ----------
    draws, chains : int
        Draws a chain, and chains.
    method : {"nuts", "hmc", "rmh"}
        The no-U-turn sampler, Hamiltonian Monte Carlo with a fixed number of steps, random-walk
        Metropolis.
    tune : int
        Steps before the draws, in which the step length is adapted (dual averaging); 0 leaves
        it at its start.
    metric : {"dense", "diagonal"}, optional
        Whether q's whole covariance or its variances are used; by default the covariance, if q
        has one that is regular, in up to 500 dimensions.
    target_accept : float, optional
        Acceptance rate that tuning aims at; 0.8, for random-walk Metropolis 0.234.
    integration_steps : int
        Steps of a trajectory of HMC; by default as many as make a quarter of a turn if q is
        right.
    random_seed : int, optional
        Seed of starts and chains; new ones at every call by default.
    include_transformed : bool
        Whether to add the unconstrained values.
    store_data : bool
        Whether to copy observed and constant data into the result.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` (constrained variables and deterministics; ``attrs`` has
        ``rhat_max`` and ``ess_min`` over the unconstrained coordinates), ``sample_stats``
        (``lp``, ``acceptance_rate``, and for NUTS and HMC ``diverging``, ``energy``,
        ``n_steps``), ``observed_data``, ``constant_data``, and ``fit`` of the approximation.

    Warns
    -----
    UserWarning
        If an R-hat is above 1.01 or a step diverged.

    Raises
    ------
    ImportError
        If BlackJAX is not installed.
    ValueError
        If the model cannot be evaluated by JAX, or an argument is impossible.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="laplace", model=model)
    >>> posterior = approx.sample_mcmc(draws=2000, chains=4, random_seed=1)["posterior"]
    >>> posterior["mu"].shape, posterior.attrs["rhat_max"] < 1.01
    ((4, 2000), True)

    References
    ----------
    Cabezas, Corenflos, Lao, Louf et al. (2024). BlackJAX: composable Bayesian inference in JAX.
    arXiv:2402.10797.
    """
    for name, value in (
        ("draws", draws),
        ("chains", chains),
        ("integration_steps", integration_steps),
    ):
        if value is not None or name != "integration_steps":
            check_count(name, value)
    whole("tune", tune, 0)
    check_flags(include_transformed=include_transformed, store_data=store_data)
    choice("method", method, METHODS)
    accept = METHODS[method] if target_accept is None else target_accept
    number("target_accept", accept, above=0.0, below=1.0)
    import_blackjax()
    seed = resolve_seed(random_seed)
    target = target_of_all_rows(fit)
    if not target.traceable:
        why = getattr(target, "why", "")
        raise ValueError(
            "Chains through BlackJAX need backend='jax', and the model is evaluated by "
            f"{target.backend}"
            f"{f' ({why})' if why else ' (asked for)'}. PyMC takes over from here: "
            "pm.sample(initvals=approx.initvals"
            f"({chains}), step=approx.nuts_step(), model=approx.model)."
        )
    matrix = inverse_mass_matrix(fit, metric)
    starts, plan = starting_points(fit, int(chains), seed), Plan(method, integration_steps)
    running = RunningChains(target, plan, matrix, starts, seed, float(accept))
    z, stats = running.go_on(int(draws), int(tune))
    stats = {name: value[:, int(tune) :] for name, value in stats.items()}
    posterior = target.constrain(z.reshape(-1, target.dim))
    if include_transformed:
        flat = target.layout.unflatten(z.reshape(-1, target.dim))
        posterior |= {name: value for name, value in flat.items() if name not in posterior}
    record = fit_record(fit.losses, settings(fit))
    sample_stats = {name: np.asarray(value).reshape(-1) for name, value in stats.items()}
    tree = to_datatree(fit.model, posterior, sample_stats, record, store_data, chains=int(chains))
    attributes = {
        "method": method,
        "tune": int(tune),
        "target_accept": float(accept),
        "metric": "dense" if matrix.ndim == 2 else "diagonal",
        "step_size": running.sizes.tolist(),
        "random_seed": seed,
    }
    tree["sample_stats"].attrs |= attributes
    tree["posterior"].attrs |= _checked(target, z, stats)
    return tree


def agreement(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R-hat and the effective sample size of each coordinate, ``(D,)``."""
    rhat = np.atleast_1d(array_stats().rhat(points, chain_axis=0, draw_axis=1))
    return rhat, np.atleast_1d(array_stats().ess(points, chain_axis=0, draw_axis=1))


def tail_ess(points: np.ndarray) -> np.ndarray:
    """The effective sample size of the 5 % and 95 % quantiles of each coordinate, ``(D,)``."""
    return np.atleast_1d(
        array_stats().ess(points, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
    )


def initvals(
    fit: FitState, chains: int = 4, *, random_seed: Any = None
) -> list[dict[str, np.ndarray]]:
    """Draws of q as starting points for ``pm.sample(initvals=..., chains=...)``.

    Parameters
    ----------
    chains : int
        Number of chains.
    random_seed : int, optional
        Seed of the draws; new ones at every call by default.

    Returns
    -------
    list of dict
        For each chain the constrained values of the free variables, by name.
    """
    check_count("chains", chains)
    points = starting_points(fit, int(chains), resolve_seed(random_seed))
    values = target_of(fit, "draws").constrain(points, fit.layout.names)
    return [{name: value[i] for name, value in values.items()} for i in range(int(chains))]


def nuts_step(fit: FitState, *, metric: str | None = None, target_accept: float = 0.8) -> Any:
    """PyMC's NUTS with q's covariance as its inverse mass matrix, for ``pm.sample(step=...)``.

    PyMC then tunes the step size alone, which takes few steps.

    Parameters
    ----------
    metric : {"dense", "diagonal"}, optional
        See :meth:`sample_mcmc`.
    target_accept : float
        Acceptance rate that tuning aims at.

    Returns
    -------
    pymc.NUTS

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="laplace", model=model)
    >>> step = (
    ...     approx.nuts_step()
    ... )  # pm.sample(initvals=approx.initvals(4), step=step, tune=200, chains=4)
    >>> step.potential.v.round(3).tolist()  # 1 / 3, the variance of the posterior
    [0.333]
    """
    number("target_accept", target_accept, above=0.0, below=1.0)
    matrix = np.asarray(inverse_mass_matrix(fit, metric), np.float64)
    return pm.NUTS(scaling=matrix, is_cov=True, target_accept=target_accept, model=fit.model)


def _checked(target: Target, points: np.ndarray, stats: dict[str, Any]) -> dict[str, Any]:
    """The largest R-hat and the smallest effective sample size; warn where they are bad."""
    if points.shape[1] < 4:
        return {}
    rhat, ess = agreement(points)
    worst = np.argsort(-np.nan_to_num(rhat, nan=np.inf))
    bad = worst[~(rhat[worst] <= RHAT)]
    if bad.size:
        warnings.warn(
            f"R-hat is {rhat[bad[0]]:.3f} in {target.layout.label(int(bad[0]))} and above {RHAT} "
            f"in {bad.size} of "
            f"{rhat.size} coordinates: the chains do not agree yet. More draws or tune= steps may "
            "help.",
            UserWarning,
            stacklevel=4,
        )
    diverging = int(np.sum(np.asarray(stats["diverging"]))) if "diverging" in stats else 0
    if diverging:
        warnings.warn(
            f"{diverging} of {points.shape[0] * points.shape[1]} steps diverged: the chains may "
            "leave out a part of "
            "the posterior. A larger target_accept or another parametrisation of the model may "
            "help.",
            UserWarning,
            stacklevel=4,
        )
    return {"rhat_max": float(np.max(rhat)), "ess_min": float(np.min(ess))}
