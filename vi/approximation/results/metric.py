"""q's covariance and draws as what Markov chains start from."""

from __future__ import annotations

import jax
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import reported_params
from vi.approximation.record.points import points_of
from vi.approximation.results.points import draw
from vi.families import Mixture
from vi.foundation.precision import precision
from vi.foundation.seeds import CHAIN_STARTS, derived_seed

__all__ = ["inverse_mass_matrix", "starting_points"]


LARGEST_DENSE = 500
"""Dimensions up to which q's whole covariance is used by default."""


TRIES = 10


def starting_points(fit: FitState, chains: int, seed: int) -> np.ndarray:
    """Draws of q at which log p is finite, ``(chains, D)``."""
    stream = derived_seed(seed, CHAIN_STARTS)
    points, _ = draw(fit.family, reported_params(fit), stream, TRIES * chains, fit.dtype)
    good = points[np.isfinite(target_of_all_rows(fit).log_prob(points))]
    if len(good) < chains:
        raise ValueError(
            f"log p is finite at {len(good)} of {len(points)} draws of the approximation only: "
            "chains cannot start "
            "there. Fit on before sampling."
        )
    return good[:chains]


def inverse_mass_matrix(fit: FitState, metric: str | None) -> np.ndarray:
    """The covariance of q ``(D, D)``, or its variances ``(D,)``; of a mixture, within its parts."""
    if metric not in (None, "dense", "diagonal"):
        raise ValueError(
            f"metric={metric!r} is unknown; use 'dense', 'diagonal' or None (what suits q)."
        )
    with precision(fit.dtype):
        family = fit.family
        covariance = family.cov_within if isinstance(family, Mixture) else family.cov
        std = family.std_within if isinstance(family, Mixture) else family.std
        variances = np.square(np.asarray(jax.jit(std)(reported_params(fit))))
        points = points_of(fit)
        if points:
            raise ValueError(
                f"{', '.join(points)}: point estimates, without a width that the steps of a chain "
                "could be measured by. Fit all variables with distributions, "
                "vi.fit(method='advi'), and let the chains start there."
            )
        if not np.all(np.isfinite(variances) & (variances > 0)):
            bad = fit.layout.describe(np.flatnonzero(~(variances > 0)))
            raise ValueError(
                f"The approximation has no spread in {bad}: it cannot measure the steps of a chain."
            )
        if metric == "diagonal" or (metric is None and fit.layout.dim > LARGEST_DENSE):
            return variances
        cov = np.asarray(jax.jit(covariance)(reported_params(fit)))
    sds = np.sqrt(variances)
    correlations = cov / np.outer(sds, sds)
    regular = np.all(np.isfinite(cov)) and np.linalg.eigvalsh(correlations)[0] > np.sqrt(
        np.finfo(cov.dtype).eps
    )
    if metric is None:
        return cov if regular and np.any(cov - np.diag(np.diag(cov))) else variances
    if not regular:
        raise ValueError(
            "metric='dense': the covariance of the approximation is singular; use "
            "metric='diagonal'."
        )
    return cov
