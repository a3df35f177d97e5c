"""Laplace's approximation: a normal at the mode, with the log density's curvature there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from vi.approximation import FullRank
from vi.approximation.named import PointOptions, check_options
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import reported_params
from vi.approximation.steps.in_one_go import normal_params, settled
from vi.foundation.numbers import check_count
from vi.foundation.precision import precision
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.one_shot import OneShot
from vi.inference.run_options import RunOptions
from vi.search.climb import climb
from vi.search.curvature import curvature
from vi.search.modes import jittered, spread_starts
from vi.search.summit import LEAST_FALL, falls_along
from vi.targets.base import Target

__all__ = ["AtTheMode", "Laplace"]

NEWTON_STEPS = 20

MOST_FALL = 12.5
"""How much lower log p may be there on both sides: as many times 0.5 as it must be at least."""

NO_MODE = "The unconstrained log density has no mode that was found"

ADVICE = (
    "Laplace's approximation does not exist there. A flat direction needs a prior or an identified "
    "model; a mode at infinity (a scale that goes to 0 in a centred hierarchy) another "
    "parametrisation; other starts: inf_kwargs={'starts': 10}."
)


@METHODS.register(name="laplace")
class Laplace(Inference):
    r"""A normal at the mode of the log density, with the inverse of its curvature as covariance.

    .. math:: q(z) = N(z \mid \hat z, \Lambda^{-1}), \quad \hat z = \arg\max_z \log p(z),
        \quad \Lambda = -\nabla^2 \log p(\hat z)

    in the unconstrained space, log Jacobian determinants included. L-BFGS finds the mode (``n`` of
    ``fit`` is the most iterations) from near the start (at most 0.01 away, where it was not given)
    and leaves saddles; Newton's method goes on to rounding. The result is a
    :class:`vi.FullRank` approximation. ``hist`` is minus log p at the start and after each
    iteration; ``settings()`` has ``log_p_mode``, and ``log_evidence``, which is Laplace's
    approximation of the log evidence.

    Parameters
    ----------
    starts : int
        Searches from different points, of which the best is taken: the start, and others around it
        (uniform noise from -1 to 1 in the unconstrained space).

    Raises
    ------
    ValueError
        If there is no mode, or the curvature there is not positive definite or says nothing of the
        density one standard deviation away; the message names the variables.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="laplace", model=model, random_seed=1)
    >>> (
    ...     approx.mean.eval().round(6).tolist(),
    ...     approx.cov.eval().round(6).tolist(),
    ... )  # exact: 4 / 3 and 1 / 3
    ([1.333333], [[0.333333]])

    References
    ----------
    Tierney and Kadane (1986). Accurate approximations for posterior moments and marginal densities.
    JASA 81.
    """

    family_name = "full_rank"
    stepwise = False

    def __init__(
        self,
        *,
        starts: int = 1,
        **options: Unpack[PointOptions],
    ) -> None:
        check_options(type(self), options, PointOptions)
        check_count("starts", starts)
        super().__init__(FullRank(**options))
        self.starts = int(starts)

    def algorithm(self, options: RunOptions) -> OneShot:
        return AtTheMode(self.starts)


@dataclass(frozen=True)
class AtTheMode(OneShot):
    """The normal at the best of the modes that some searches find."""

    starts: int

    def solve(self, fit: FitState, n: int) -> FitState:
        target = target_of_all_rows(fit)
        start = np.array(reported_params(fit)["mu"])
        if fit.free_mean is not None:
            start = jittered(target, start, fit.free_mean, fit.seed)
        found, status, fault = climb(target, spread_starts(target, start, self.starts, fit.seed), n)
        if fault:
            raise ValueError(f"{NO_MODE}: {status.message} {ADVICE}")
        best = found.best
        mode, precision_matrix, value = _newton(target, found.points[best], found.values[best])
        factor = _cholesky(target, mode, precision_matrix)
        dim = target.dim
        inverse = np.linalg.inv(factor)
        lower = np.linalg.cholesky(inverse.T @ inverse)
        log_evidence = value + 0.5 * dim * np.log(2 * np.pi) - np.sum(np.log(np.diag(factor)))
        losses = -found.path_values[: found.iterations[best] + 1, best]
        return settled(
            fit,
            normal_params(fit, mode, lower),
            losses,
            status,
            {
                "algorithm": "laplace",
                "loss": "minus log p",
                "starts": self.starts,
                "log_p_mode": float(value),
                "log_p_of_starts": [float(v) for v in found.values],
                "log_evidence": float(log_evidence),
            },
        )


def _newton(
    target: Target, point: np.ndarray, value: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The mode to rounding, with the curvature and the value there."""
    matrix = curvature(target, point)
    eps = float(np.finfo(target.dtype).eps)
    for _ in range(NEWTON_STEPS):
        _, score = (np.asarray(part) for part in _value_and_score(target, point))
        try:
            step = np.linalg.solve(matrix, score)
        except np.linalg.LinAlgError:
            break
        gain = 0.5 * float(score @ step)
        if not np.isfinite(gain) or gain <= eps**2:
            break
        there = (point + step).astype(target.dtype)
        new = float(target.log_prob(there))
        if not new >= value - 10 * eps * max(1.0, abs(value)):
            break
        point, value, matrix = there, new, curvature(target, there)
        if (
            gain <= eps
        ):  # quadratic convergence: the next one changes nothing that can be represented
            break
    return point, matrix, value


def _value_and_score(target: Target, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with precision(target.dtype):
        values, scores = target.value_and_score(
            np.asarray(point, target.dtype)[None], target.batch()
        )
        return np.asarray(values)[0], np.asarray(scores)[0]


def _cholesky(target: Target, mode: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The lower Cholesky factor of the curvature.

    Raises
    ------
    ValueError
        If the curvature is not positive definite.
    """
    where = "The unconstrained curvature at the mode is not positive definite"
    if not np.all(np.isfinite(matrix)):
        bad = np.flatnonzero(~np.all(np.isfinite(matrix), axis=0))
        raise ValueError(f"{where}: it is not finite in {target.layout.describe(bad)}. {ADVICE}")
    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(
        matrix / np.outer(scale, scale)
    )  # units out: a correlation matrix
    if values[0] <= matrix.shape[0] * np.finfo(matrix.dtype).eps:
        largest = np.argsort(-np.abs(vectors[:, 0]))[:3]
        raise ValueError(
            f"{where} (smallest eigenvalue, relative to the diagonal: {values[0]:.3g}, mostly "
            "along "
            f"{target.layout.describe(largest)}). {ADVICE}"
        )
    factor: np.ndarray = np.linalg.cholesky(matrix)
    _check_shape(target, mode, matrix)
    return factor


def _check_shape(target: Target, mode: np.ndarray, matrix: np.ndarray) -> None:
    """Refuse a mode at which the curvature says nothing of the density one deviation away.

    Raises
    ------
    ValueError
        If log p is about as high there, or far lower on both sides.
    """
    falls = falls_along(target, mode, float(target.log_prob(mode)), matrix)
    level = ~np.all(np.isfinite(falls) & (falls > LEAST_FALL), axis=0)
    steep = np.all(falls > MOST_FALL, axis=0)
    bad = np.flatnonzero(level | steep)
    if bad.size:
        raise ValueError(
            "There is no mode of the shape of a normal: one standard deviation from it, which "
            "should cost log p about "
            f"0.5, costs {' and '.join(f'{fall:.2g}' for fall in falls[:, bad[0]])} along "
            f"{target.layout.describe(bad)}. {ADVICE}"
        )
