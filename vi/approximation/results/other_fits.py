"""Fits from elsewhere, to be compared with the one that is judged."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.one_period import OnePeriod
from vi.diagnostics.modes import Found, is_apart
from vi.foundation.seeds import OTHER_FITS, generator_from
from vi.search.fixed_draws import FixedDrawsFit, Until, base_draws, fit_fixed_draws
from vi.targets.base import Target
from vi.targets.model.data_hashes import set_since
from vi.targets.model.prior_widths import prior_std
from vi.targets.model.start import START_STD, start_point

__all__ = ["FIRST", "FIXED", "ITERATIONS", "MOST_GRADIENTS", "other_fits", "restarts_of"]

FEW, FIXED, FRESH = 4, 20, 256
"""Draws that a search holds fixed: at first, and from another place than q's; fresh ones for its
ELBO. Where it ends is all that is asked of the first one."""

THERE = 0.03
"""Nats within which a first search has to get: a quarter of a standard deviation along one
direction, and places are three apart."""

FIRST, ITERATIONS = 100, 200
"""The most iterations of both searches: the ELBO of one that did not arrive is a lower bound still.
"""

HOPELESS = 100.0
"""Nats by which a first search may end below q and still be gone on with."""

WITHIN = 2.0
"""Times q's standard deviations up to which a first search that is within one of q's mean has come
to it: where the ELBO is still far below q's, it is for the correlations that it lacks."""

MOST_GRADIENTS = FIXED * ITERATIONS
"""About what a search takes at most."""

SPREAD = 2.0
"""Starts around 0 are uniform within so much, Stan's choice."""

FAR = 10.0
"""Standard deviations of q by which starts around q are spread."""

NARROWER = 1 / 7
"""By how much a second attempt is narrower, where log p is not finite around a start."""


def other_fits(
    fit: FitState, target: Target, seed: int, q: Found, count: int, *, reliable: bool = False
) -> tuple[list[Found], int]:
    """Independent normals from other starts, and the gradients that they took.

    The first starts at the model's initial point, the others in pairs on opposite sides of 0, of
    the initial point as far as the prior is wide, and of q ten standard deviations away; so that
    one of them is on the other side of what lies there. Searches over fixed draws travel where
    stochastic steps stay behind.

    Parameters
    ----------
    fit : FitState
        Whose model it is.
    target : Target
        Its log density with all rows.
    seed : int
        Seed of starts and draws.
    q : Found
        The fit that is judged.
    count : int
        How many.
    reliable : bool
        Whether importance weights of q can be relied on: a search that has come to such a q is not
        gone on with, however its ELBO still rises.
    """
    generator = generator_from(seed, OTHER_FITS)
    found, gradients = [], 0
    # in the units of a fit that is any good a search is short; of one that is not, it is longer
    unit = np.where(np.isfinite(q.unit) & (q.unit > 0), q.unit, 1.0)
    for number, start in enumerate(itertools.islice(_starts(fit, q, generator), count)):
        if isinstance(target, OnePeriod):
            start = (target.nearest(start[0]), start[1])
        few, many = (base_draws(generator, draws, target.dim) for draws in (FEW, FIXED))
        # of so few draws even the variances have to be right
        few /= np.sqrt(np.mean(few**2, axis=0))
        fresh = generator.standard_normal((FRESH, target.dim))
        until = Until(THERE, functools.partial(_has_come_to, q) if reliable else None)
        for search in _searched(target, *start, few, unit, until):
            gradients += search.evaluations * FEW
            elbo, error = _elbo(target, search, fresh)
            end = Found(f"start {number}", elbo, error, search.mean, search.std)
            lost = -search.losses[-1] < q.elbo - HOPELESS
            if not lost and (not np.isfinite(elbo) or is_apart(q, end)):
                for better in _again(target, search, many):
                    gradients += better.evaluations * FIXED
                    elbo, error = _elbo(target, better, fresh)
                    end = Found(end.name, elbo, error, better.mean, better.std)
            found.append(end)
    return found, gradients


def _starts(
    fit: FitState, q: Found, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Where searches start, and how wide."""
    initial = fit.layout.flatten(start_point(fit.model, None, fit.seed), np.dtype(np.float64))
    usual = np.full(len(initial), START_STD)
    yield initial, usual
    wide = prior_std(fit.model, fit.layout, fit.seed)
    wide = np.where(np.isnan(wide), SPREAD, wide)
    while True:
        away = generator.uniform(-SPREAD, SPREAD, len(initial))
        yield from ((away, usual), (-away, usual))
        away, width = wide * _about_one(generator, len(initial)), np.minimum(usual, wide)
        yield from ((initial + away, width), (initial - away, width))
        away, width = FAR * q.std * _about_one(generator, len(initial)), np.minimum(usual, q.std)
        yield from ((q.mean + away, width), (q.mean - away, width))


def _about_one(generator: np.random.Generator, dim: int) -> np.ndarray:
    """Numbers between a half and one and a half, with either sign."""
    return generator.choice([-1.0, 1.0], dim) * generator.uniform(0.5, 1.5, dim)


def _again(target: Target, search: FixedDrawsFit, noise: np.ndarray) -> Iterator[FixedDrawsFit]:
    """A search over more draws from where one has ended, if log p is finite around there."""
    with contextlib.suppress(ValueError):
        yield fit_fixed_draws(target, search.mean, search.std, noise, ITERATIONS)


def restarts_of(fit: FitState, elbo: float, target: Target) -> list[Found]:
    """What the other runs of a fit from several starts found, next to the one that was kept.

    By how much one is better than another holds of the data of the fit alone.
    """
    starts = fit.starts
    if starts is None or set_since(fit.model, fit.compared_data):
        return []
    best = starts.attrs["restart_best"]
    elbos, errors = (starts[f"restart_{name}"].to_numpy() for name in ("elbo", "elbo_error"))
    means, stds = (starts[f"restart_{name}"].to_numpy() for name in ("mean", "std"))
    return [
        Found(
            f"restart {run}",
            float(elbo + elbos[run] - elbos[best]),
            float(np.hypot(errors[run], errors[best])),
            target.nearest(means[run]) if isinstance(target, OnePeriod) else means[run],
            stds[run],
        )
        for run in range(len(elbos))
        if run != best and np.isfinite(elbos[run])
    ]


def _has_come_to(q: Found, mean: np.ndarray, std: np.ndarray) -> bool:
    """Whether independent normals are where q is."""
    q = q.beside(Found("", np.nan, np.nan, mean, std))
    with np.errstate(all="ignore"):
        return bool(np.all(np.abs(mean - q.mean) < q.std) and np.all(std < WITHIN * q.std))


def _searched(
    target: Target,
    mean: np.ndarray,
    std: np.ndarray,
    noise: np.ndarray,
    unit: np.ndarray,
    until: Until,
) -> Iterator[FixedDrawsFit]:
    """The search from a start, if log p is finite around it."""
    for factor in (1.0, NARROWER):
        try:
            yield fit_fixed_draws(target, mean, factor * std, noise, FIRST, until=until, unit=unit)
        except ValueError:
            continue
        return


def _elbo(target: Target, search: FixedDrawsFit, noise: np.ndarray) -> tuple[float, float]:
    """The ELBO on fresh draws, minus infinity where log p is not finite at one of them."""
    with np.errstate(over="ignore", invalid="ignore"):  # of an improper p the sds have no bound
        values = target.log_prob((search.mean + search.std * noise).astype(target.dtype))
    if not np.all(np.isfinite(values)):
        return -np.inf, np.nan
    if not np.all(search.std > 0):
        return -np.inf, np.nan
    entropy = np.log(search.std).sum() + 0.5 * target.dim * math.log(2 * math.pi * math.e)
    return float(values.mean() + entropy), float(values.std() / math.sqrt(len(values)))
