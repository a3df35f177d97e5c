"""Fits from elsewhere, to be compared with the one that is judged."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.diagnostics.modes import Found
from vi.foundation.seeds import OTHER_FITS, generator_from
from vi.search.fixed_draws import FixedDrawsFit, base_draws, fit_fixed_draws
from vi.targets.base import Target
from vi.targets.model.start import START_STD, start_point

__all__ = ["MOST_GRADIENTS", "other_fits", "restarts_of"]

FIXED, FRESH = 20, 256
"""Draws that a search holds fixed, and fresh ones for its ELBO."""

ITERATIONS = 200
"""The most iterations of a search: the ELBO of one that did not arrive is a lower bound still."""

MOST_GRADIENTS = FIXED * ITERATIONS
"""About what a search takes at most."""

SPREAD = 2.0
"""Starts are uniform within so much of 0, Stan's choice, or of the model's initial point."""

NARROW = 0.1
"""Standard deviations of a second attempt, where log p is not finite around a start."""


def other_fits(fit: FitState, target: Target, seed: int, count: int) -> tuple[list[Found], int]:
    """Independent normals from other starts, and the gradients that they took.

    The first starts at the model's initial point, the others in pairs on opposite sides of 0 and of
    that point in turn, so that one of them is on the other side of what lies there. Searches over
    fixed draws travel where stochastic steps stay behind.

    Parameters
    ----------
    fit : FitState
        Whose model it is.
    target : Target
        Its log density with all rows.
    seed : int
        Seed of starts and draws.
    count : int
        How many.
    """
    generator = generator_from(seed, OTHER_FITS)
    initial = fit.layout.flatten(start_point(fit.model, None, fit.seed), np.dtype(np.float64))
    found, gradients = [], 0
    away = np.zeros(target.dim)
    for number in range(count):
        away = generator.uniform(-SPREAD, SPREAD, target.dim) if number % 2 else -away
        noise = base_draws(generator, FIXED, target.dim)
        fresh = generator.standard_normal((FRESH, target.dim))
        centre = 0.0 if number % 4 in (1, 2) else 1.0  # 0, or the initial point
        for search in _searched(target, centre * initial + away, noise):
            gradients += search.evaluations * FIXED
            elbo, error = _elbo(target, search, fresh)
            found.append(Found(f"start {number}", elbo, error, search.mean, search.std))
    return found, gradients


def restarts_of(fit: FitState, elbo: float) -> list[Found]:
    """What the other runs of a fit from several starts found, next to the one that was kept."""
    starts = fit.starts
    if starts is None:
        return []
    best = starts.attrs["restart_best"]
    elbos, errors = (starts[f"restart_{name}"].to_numpy() for name in ("elbo", "elbo_error"))
    means, stds = (starts[f"restart_{name}"].to_numpy() for name in ("mean", "std"))
    return [
        Found(
            f"restart {run}",
            float(elbo + elbos[run] - elbos[best]),
            float(np.hypot(errors[run], errors[best])),
            means[run],
            stds[run],
        )
        for run in range(len(elbos))
        if run != best and np.isfinite(elbos[run])
    ]


def _searched(target: Target, mean: np.ndarray, noise: np.ndarray) -> Iterator[FixedDrawsFit]:
    """The search from a start, if log p is finite around it."""
    for width in (START_STD, NARROW):
        try:
            yield fit_fixed_draws(target, mean, np.full(target.dim, width), noise, ITERATIONS)
        except ValueError:
            continue
        return


def _elbo(target: Target, search: FixedDrawsFit, noise: np.ndarray) -> tuple[float, float]:
    """The ELBO on fresh draws, minus infinity where log p is not finite at one of them."""
    with np.errstate(over="ignore", invalid="ignore"):  # of an improper p the sds have no bound
        values = target.log_prob((search.mean + search.std * noise).astype(target.dtype))
    if not np.all(np.isfinite(values)):
        return -np.inf, np.nan
    entropy = np.log(search.std).sum() + 0.5 * target.dim * math.log(2 * math.pi * math.e)
    return float(values.mean() + entropy), float(values.std() / math.sqrt(len(values)))
