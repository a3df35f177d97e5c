"""The best independent normals for a fixed set of base draws, by L-BFGS: deterministic ADVI."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from vi.targets.backends.evaluation import evaluation
from vi.targets.base import Target

__all__ = ["FixedDrawsFit", "NotFiniteError", "Until", "base_draws", "fit_fixed_draws"]

MEMORY = 20
"""Pairs of differences behind the inverse Hessian.

Twice what a search for a mode keeps: locations and scales along a ridge move together, and 10 pairs
take up to twice the iterations there.
"""

EVALUATIONS = 4
"""The most evaluations for each iteration, on average; a line search that goes well takes one."""

ARRIVED = 1e-3
"""Nats that the next iteration is expected to gain at most, where a search has converged.

That is 4 % of a posterior standard deviation along one direction, far below what 30 draws leave.
"""

NARROW = 0.1
"""A standard deviation at the start below which a location is measured in it."""

WIDER = 100.0
"""Times the unit of a location that its standard deviation is found to be, before a search starts
anew in units of that: in far too small ones a location does not move, and seems to have arrived.
"""

ENDLESS = 1e100
"""A standard deviation that no posterior has: the ELBO has no bound, and units do not help."""

LAST = 3
"""Iterations that have to gain something, or to stay where they are."""

OUT_OF_ITERATIONS, ENDED_EARLY = 1, 99
"""SciPy's numbers of how a search ended."""

ATTEMPTS = 4
"""Searches, each with an empty memory: one whose line search fails starts anew where it is."""


class NotFiniteError(ValueError):
    """log p or its gradient is not finite at some of the draws around the start."""


@dataclass(frozen=True)
class FixedDrawsFit:
    """Where the search ended.

    Parameters
    ----------
    mean, std : numpy.ndarray
        Of the independent normals, ``(D,)``.
    losses : numpy.ndarray
        Minus the ELBO over the fixed draws at the start and after each iteration.
    gain : float
        What the next iteration is expected to gain, in nats; infinite where nothing is known.
    evaluations : int
        Evaluations of log p and its gradient, each at all draws.
    """

    mean: np.ndarray
    std: np.ndarray
    losses: np.ndarray
    gain: float
    evaluations: int

    @property
    def converged(self) -> bool:
        """Whether there is nothing left to gain."""
        return self.gain <= ARRIVED


@dataclass
class Until:
    """What ends a search before it has arrived.

    Parameters
    ----------
    gain : float
        Nats: it ends where its last iterations, :data:`LAST` of them, have gained less.
    place : callable, optional
        Whether means and standard deviations ``(D,)`` are all that is asked for: it ends where they
        have been after as many iterations in a row.
    """

    gain: float
    place: Callable[[np.ndarray, np.ndarray], bool] | None = None
    _times: int = field(default=0, init=False)

    def ends(self, losses: Sequence[float], mean: np.ndarray, std: np.ndarray) -> bool:
        """Whether this iteration is the last; it is asked after each."""
        if self.place is not None:
            self._times = self._times + 1 if self.place(mean, std) else 0
        gained = losses[-1 - LAST] - losses[-1] if len(losses) > LAST else np.inf
        return self._times >= LAST or gained < self.gain


def base_draws(generator: np.random.Generator, draws: int, dim: int) -> np.ndarray:
    """Standard normal draws ``(draws, dim)``, an even number, in antithetic pairs: e and -e.

    Pairs have no mean, so that a posterior that is symmetric about its mean gets exactly that mean.
    """
    half = generator.standard_normal((draws // 2, dim))
    return np.concatenate([half, -half])


def fit_fixed_draws(
    target: Target,
    mean: np.ndarray,
    std: np.ndarray,
    noise: np.ndarray,
    iterations: int,
    *,
    entropy_weight: float = 1.0,
    until: Until | None = None,
    unit: np.ndarray | None = None,
) -> FixedDrawsFit:
    r"""Maximise the mean-field ELBO over draws whose noise stays the same.

    .. math:: \frac1K \sum_k \log p(\mu + \sigma \odot e_k) + w \sum_i \log \sigma_i
        + \tfrac{w D}{2} \log(2 \pi e)

    in :math:`\mu` and :math:`\log \sigma`. It is a smooth function without noise, so that a
    second-order method travels along ridges on which stochastic steps stay behind.

    Parameters
    ----------
    target : Target
        The log density.
    mean, std : numpy.ndarray
        Where the search starts, ``(D,)``.
    noise : numpy.ndarray
        The base draws :math:`e`, ``(K, D)``.
    iterations : int
        The most iterations.
    entropy_weight : float
        :math:`w`; 1 is the ELBO.
    until : Until, optional
        What ends it before it has arrived.
    unit : numpy.ndarray, optional
        What locations are measured in, ``(D,)``; the nearer to their standard deviations at the
        end, the shorter the search. 1 by default, and the start's width where that is narrow.

    Raises
    ------
    NotFiniteError
        If the ELBO of the start is not finite.

    References
    ----------
    Giordano, Ingram and Broderick (2024). Black box variational inference with a deterministic
    objective: faster, more accurate, and even more black box. JMLR 25.
    """
    evaluate = evaluation(target)
    dim = target.dim
    # in units of 1 the first step of a search is too long for what starts narrow
    units = np.where(std < NARROW, std, 1.0) if unit is None else unit
    constant = 0.5 * entropy_weight * dim * math.log(2 * math.pi * math.e)
    evaluations = 0
    best = np.inf

    def minus_elbo(position: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluations, best
        evaluations += 1
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.exp(position[dim:])
            values, scores = evaluate(position[:dim] * units + scale * noise)
            value = -values.mean() - entropy_weight * position[dim:].sum() - constant
            along = (scores * (scale * noise)).mean(axis=0)
            gradient = -np.concatenate([scores.mean(axis=0) * units, along + entropy_weight])
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            if not np.isfinite(best):
                return np.inf, gradient
            # a wall, from which the line search turns back; infinity would break its interpolation
            return best + 1e3 * (1.0 + abs(best)), np.zeros(2 * dim)
        best = min(best, value)
        return float(value), gradient

    position = np.concatenate([mean / units, np.log(std)]).astype(np.float64)
    first, _ = minus_elbo(position)
    if not np.isfinite(first):
        raise NotFiniteError(
            "log p or its gradient is not finite at some draws around the start. A narrower start "
            "(start_sigma={name: 0.1}), or another one: start={name: value}."
        )
    losses, gain = [first], np.inf

    def record(intermediate_result: Any) -> None:
        losses.append(float(intermediate_result.fun))
        here = intermediate_result.x
        if until is not None and until.ends(losses, here[:dim] * units, np.exp(here[dim:])):
            raise StopIteration

    rounding = float(np.finfo(target.dtype).eps)
    for _ in range(ATTEMPTS):
        left = iterations - (len(losses) - 1)
        if left <= 0:
            break
        before = losses[-1]
        found = minimize(
            minus_elbo,
            position,
            jac=True,
            method="L-BFGS-B",
            callback=record,
            options={
                "maxcor": MEMORY,
                "maxiter": left,
                "maxfun": EVALUATIONS * left,
                "ftol": rounding,
                "gtol": 0.0,  # a gradient has units; what is left to gain has none
            },
        )
        position = found.x
        losses[-1] = float(found.fun)
        slope = np.asarray(found.jac)
        gain = 0.5 * float(slope @ found.hess_inv.matvec(slope)) if found.nit else gain
        with np.errstate(over="ignore"):
            std = np.exp(position[dim:])
        wide = (std > WIDER * units) & (std < ENDLESS)
        if found.status in (OUT_OF_ITERATIONS, ENDED_EARLY) or (
            before - losses[-1] <= ARRIVED and not np.any(wide)
        ):
            break
        position[:dim] *= np.where(wide, units / std, 1.0)
        units = np.where(wide, std, units)
    return FixedDrawsFit(
        position[:dim] * units, np.exp(position[dim:]), np.array(losses), gain, evaluations
    )
