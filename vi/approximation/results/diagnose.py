"""Whether a fit can be trusted: fresh draws, importance weights, short chains, and a verdict."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import reported_params
from vi.approximation.results.draws import draw
from vi.diagnostics.diagnosis import Diagnosis, judged, shifts, weighted_moments
from vi.diagnostics.importance import smoothed
from vi.diagnostics.nudge import LEAPS, STEPS, Nudged, nudge
from vi.foundation.numbers import check_count
from vi.foundation.precision import precision
from vi.foundation.seeds import CHAIN_STARTS, generator_from, resolve_seed
from vi.targets.backends.evaluation import entries_of, evaluation
from vi.targets.base import Target

__all__ = ["arguments_of_diagnosis", "diagnose"]

LARGEST_DENSE = 500
"""Dimensions up to which chains move in units of q's whole covariance; beyond, of its variances."""


DRAWS, CHAINS, LEAST_DRAWS, LEAST_CHAINS = 2000, 256, 100, 64
"""What there is by default, and the least that says anything: 64 chains have a noise of 0.12."""

GRADIENTS = STEPS * LEAPS + 1
"""Gradients of a chain."""

MOST_NUMBERS = 5 * 10**7
"""Points times dimensions, 400 MB, of which there are some copies."""

MOST_WORK = 10**11
"""Gradients times entries of the data: a minute or two of one core's multiplications."""


def diagnose(
    fit: FitState, draws: int | None = None, *, chains: int | None = None, random_seed: Any = 0
) -> Diagnosis:
    r"""Measure how far q is from the posterior, and say what it can be used for.

    - **Importance weights** :math:`p / q` of draws of q, Pareto-smoothed: how far they move means
      and standard deviations. They see what q covers thinly, and nothing where q never goes.
    - **Short chains**: draws of q are moved by 25 steps of Hamiltonian Monte Carlo. Draws of the
      posterior stay what they are; of anything else, mean and standard deviation move towards it.
      How far is a lower bound of the error.

    Neither sees a mode that no draw comes near: several starts do (``restarts=8``).

    The approximation keeps the result in :attr:`~vi.Approximation.diagnosis` until its parameters
    change, and shows it in its status, its draws and its file. In a callback of a run it is
    returned alone.

    Parameters
    ----------
    draws : int, optional
        Draws for ELBO and weights, one evaluation of log p each. By default 2,000, and fewer where
        the data or the dimensions are so many that they would take minutes or gigabytes.
    chains : int, optional
        Chains; each takes 126 gradients. Their noise is about ``1 / sqrt(chains)`` standard
        deviations. By default 256, fewer in the same cases, and none where not even 64 would do. 0
        leaves them out, and no fit is called good then.
    random_seed : int, optional
        Seed of draws and chains.

    Returns
    -------
    vi.diagnostics.Diagnosis
        Its text is a verdict of one sentence; ``table`` has the measurements.

    Raises
    ------
    TypeError
        If the rows are streamed.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman (2018). Yes, but did it work? Evaluating variational inference.
    ICML. Vehtari, Simpson, Gelman, Yao and Gabry (2024). Pareto smoothed importance sampling. JMLR
    25.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> vi.fit(method="laplace", model=model, random_seed=1).diagnose().verdict
    'good'
    """
    target = target_of_all_rows(fit)
    draws, chains, skipped = _sizes(target, draws, chains)
    seed = resolve_seed(random_seed)
    params = reported_params(fit)
    with precision(fit.dtype):
        mean = np.asarray(jax.jit(fit.family.mean)(params), np.float64)
        std = np.asarray(jax.jit(fit.family.std)(params), np.float64)
    count = max(draws, chains)
    points, log_q = draw(fit.family, params, seed, count, fit.dtype, density=True)
    log_p = target.log_prob(points)
    finite = np.isfinite(log_p)
    table = xr.Dataset(
        {"mean": ("unconstrained", mean), "sd": ("unconstrained", std)},
        coords={"unconstrained": [target.layout.label(i) for i in range(target.dim)]},
    )
    elbo = error = np.nan
    weights = None
    if log_q is None:
        skipped.append("importance weights: q has no density")
    else:
        ratios = log_p - log_q
        elbo, error = -np.inf, np.nan
        if finite.all():
            elbo, error = float(ratios.mean()), float(ratios.std() / np.sqrt(count))
        if finite.mean() < 0.5:
            skipped.append("importance weights: log p is finite at fewer than half of the draws")
        else:
            weights = smoothed(log_p, log_q)
            _add(table, "weights", shifts(mean, std, *weighted_moments(points, weights)))
    nudged = None
    starts = points[finite][:chains]
    if chains and len(starts) < chains:
        skipped.append(f"short chains: log p is finite at {finite.mean():.0%} of the draws")
    elif chains:
        nudged = _nudged(fit, target, starts, std, seed)
        _add(table, "chains", shifts(mean, std, nudged.mean, nudged.std))
    return judged(
        table,
        elbo=elbo,
        elbo_error=error,
        weights=weights,
        nudged=nudged,
        finite=float(finite.mean()),
        skipped=skipped,
    )


def arguments_of_diagnosis(given: Any) -> Mapping[str, Any] | None:
    """Arguments of :func:`diagnose` that ``diagnose=`` of a fit means, checked; None for none."""
    if isinstance(given, bool | np.bool_):
        return {} if given else None
    if not isinstance(given, Mapping):
        raise TypeError(
            f"diagnose={given!r}: use True, False or a dict of arguments of approx.diagnose()."
        )
    known = list(inspect.signature(diagnose).parameters)[1:]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(
            f"diagnose={dict(given)!r}: {', '.join(map(repr, unknown))} is no argument of "
            f"approx.diagnose(), which takes {', '.join(known)}."
        )
    _check_sizes(given.get("draws"), given.get("chains"))
    resolve_seed(given.get("random_seed", 0))
    return dict(given)


def _sizes(target: Target, draws: int | None, chains: int | None) -> tuple[int, int, list[str]]:
    """Draws, chains, and what is left out: as asked for, or by default what can be afforded."""
    _check_sizes(draws, chains)
    if draws is None:
        draws = max(_affordable(target, DRAWS, 1), LEAST_DRAWS)
    if chains is None:
        chains = _affordable(target, CHAINS, GRADIENTS)
        if chains < LEAST_CHAINS:
            return draws, 0, [f"short chains: a large model; diagnose(chains={LEAST_CHAINS})"]
    return int(draws), int(chains), [] if chains else ["short chains: chains=0"]


def _check_sizes(draws: Any, chains: Any) -> None:
    """Refuse numbers of draws or chains that say nothing."""
    if draws is not None:
        check_count("draws", draws)
        if draws < LEAST_DRAWS:
            raise ValueError(
                f"draws={draws}: must be at least {LEAST_DRAWS}, or nothing can be said of weights."
            )
    whole = isinstance(chains, int | np.integer) and not isinstance(chains, bool)
    if chains is not None and not (whole and (chains == 0 or chains >= LEAST_CHAINS)):
        raise ValueError(
            f"chains={chains!r}: must be a whole number of at least {LEAST_CHAINS} (fewer have too "
            "much noise to say anything), or 0 for none."
        )


def _affordable(target: Target, wanted: int, gradients: int) -> int:
    """How many points, of so many gradients each, memory and a minute or two allow."""
    work = MOST_WORK // (gradients * entries_of(target))
    return min(wanted, MOST_NUMBERS // target.dim, work)


def _nudged(
    fit: FitState, target: Target, starts: np.ndarray, std: np.ndarray, seed: int
) -> Nudged:
    """Where chains from draws of q go."""
    root = std
    if target.dim <= LARGEST_DENSE:
        with precision(fit.dtype):
            cov = np.asarray(jax.jit(fit.family.cov)(reported_params(fit)), np.float64)
        if np.any(cov - np.diag(np.diag(cov))):
            with np.errstate(all="ignore"):
                values, vectors = np.linalg.eigh(cov / np.outer(std, std))
            root = std[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    return nudge(evaluation(target), starts, root, generator_from(seed, CHAIN_STARTS))


def _add(table: xr.Dataset, what: str, moved: tuple[np.ndarray, np.ndarray]) -> None:
    table[f"{what}_mean"], table[f"{what}_sd"] = (("unconstrained", values) for values in moved)
