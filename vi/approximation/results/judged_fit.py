"""The fit that a diagnosis is of: its moments, its draws, and log p at them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import dense_covariance, mean_and_std, reported_params
from vi.approximation.results.diagnosis_sizes import LEAST_CHAINS, Sizes
from vi.approximation.results.mixture_parts import parts_of
from vi.approximation.results.points import draw
from vi.diagnostics.parts import PartRoots, Parts, root_of
from vi.targets.backends.evaluation import Evaluation, evaluation
from vi.targets.base import Target

__all__ = ["JudgedFit", "elbo_of", "judged_fit"]

LARGEST_DENSE = 1000
"""Dimensions up to which chains move in units of q's whole covariance; beyond, of its variances."""


@dataclass(frozen=True)
class JudgedFit:
    """The q that is judged, its draws, and log p.

    Of very many rows ``rows`` is log p, known at the first draws as ``of_rows``; ``target`` and
    ``log_p`` at all draws are what stands for it.
    """

    record: FitState
    rows: Target
    target: Target
    sizes: Sizes
    seed: int
    mean: np.ndarray
    std: np.ndarray
    cov: np.ndarray | None
    points: np.ndarray
    log_q: np.ndarray | None
    log_p: np.ndarray
    of_rows: np.ndarray
    evaluate: Evaluation
    labels: list[str]
    parts: Parts | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def finite(self) -> np.ndarray:
        """At which draws log p is finite."""
        return np.isfinite(self.log_p)

    @property
    def root(self) -> np.ndarray:
        """A root of q's covariance: the unit of chains."""
        return root_of(self.cov, self.std)

    def unit_at(self, points: np.ndarray) -> np.ndarray | PartRoots:
        """The unit of chains from points: of a mixture, that of the component they start in."""
        return self.root if self.parts is None else self.parts.root_at(points)

    @property
    def table(self) -> xr.Dataset:
        """What has been found so far, by coordinate."""
        columns = {"mean": self.mean, "sd": self.std} | self.columns
        return xr.Dataset(
            {name: ("unconstrained", values) for name, values in columns.items()},
            coords={"unconstrained": self.labels},
        )

    def note(self, what: str, mean: np.ndarray, sd: np.ndarray) -> None:
        """Add two columns to the table."""
        self.columns[f"{what}_mean"], self.columns[f"{what}_sd"] = mean, sd


def judged_fit(
    record: FitState, rows: Target, target: Target, sizes: Sizes, seed: int
) -> JudgedFit:
    """Moments and draws of q, and log p at them."""
    params, family = reported_params(record), record.family
    cov = None
    mean, std = mean_and_std(record, params)
    if target.dim <= LARGEST_DENSE and (sizes.chains or family.has_density):
        cov = dense_covariance(record, params)
    count = max(sizes.draws, sizes.wide, sizes.chains)
    points, log_q = draw(family, params, seed, count, record.dtype, density=True)
    log_p = target.log_prob(points)
    return JudgedFit(
        record,
        rows,
        target,
        sizes,
        seed,
        mean,
        std,
        cov,
        points,
        log_q,
        log_p,
        log_p if rows is target else rows.log_prob(points[: sizes.draws]),
        evaluation(target, LEAST_CHAINS),  # so many are asked for at first: one compilation
        [target.layout.label(i) for i in range(target.dim)],
        parts_of(family, params, record.dtype, dense=cov is not None),
    )


def elbo_of(log_p: np.ndarray, log_q: np.ndarray) -> tuple[float, float]:
    """The ELBO and its standard error, minus infinity where log p is not finite at a draw."""
    if not np.all(np.isfinite(log_p)):
        return -np.inf, np.nan
    ratios = log_p - log_q
    return float(ratios.mean()), float(ratios.std() / np.sqrt(len(ratios)))
