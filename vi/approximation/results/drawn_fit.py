"""The q that a diagnosis judges: its draws, and what it asks of log p before all else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import dense_covariance, mean_and_std, reported_params
from vi.approximation.results.diagnosis_sizes import LEAST_CHAINS, Sizes
from vi.approximation.results.image_fits import Candidates, candidates_of
from vi.approximation.results.mixture_parts import parts_of
from vi.approximation.results.one_period import in_one_period
from vi.approximation.results.points import draw
from vi.approximation.results.wide_weights import regular, wide_points
from vi.diagnostics.diagnosis import by_coordinate
from vi.diagnostics.parts import PartRoots, Parts, root_of
from vi.search.tails import Rays, rays_of
from vi.targets.backends.evaluation import Evaluation, evaluation
from vi.targets.backends.streamed_target import StreamedTarget
from vi.targets.base import Target

__all__ = ["LARGEST_DENSE", "SLOPED", "Answers", "DrawnFit", "drawn_fit", "elbo_of"]

LARGEST_DENSE = 1000
"""Dimensions up to which chains move in units of q's whole covariance; beyond, of its variances."""

SLOPED = 256
"""Draws behind the slope of the ELBO: it is known to 0.06 in units of q."""


@dataclass(frozen=True)
class Answers:
    """What one pass over streamed rows has answered besides log p at the draws.

    Parameters
    ----------
    scores : numpy.ndarray
        At the first draws, ``(<= SLOPED, D)``.
    candidates : Candidates
        Images that q may have.
    at_candidates : numpy.ndarray
        Log p at their points, ``(images, few)``.
    rays : Rays
        Lines from q outwards.
    at_rays : numpy.ndarray
        Log p at their points.
    """

    scores: np.ndarray
    candidates: Candidates
    at_candidates: np.ndarray
    rays: Rays
    at_rays: np.ndarray


@dataclass(frozen=True)
class DrawnFit:
    """The q that is judged, its draws, and log p.

    Parameters
    ----------
    record, rows, target, sizes, seed
        The fit, log p of all rows, the same or what stands for it where rows are very many, what is
        asked for, and the seed of everything random.
    mean, std, cov : numpy.ndarray
        Moments of q; no covariance in many dimensions.
    points, log_q, log_p : numpy.ndarray
        Draws of q ``(S, D)`` and densities at them, ``(S,)``; no log q where q has no density.
    of_rows : numpy.ndarray
        Log p of all rows at the first draws, which have weights.
    evaluate : callable
        Values and scores at points.
    labels : list of str
        Names of the coordinates.
    parts : Parts, optional
        The components of a mixture.
    wide, log_p_wide : numpy.ndarray, optional
        Wider draws, where q has a spread everywhere, and log p at them.
    answers : Answers, optional
        What else is known, of streamed rows.
    columns : dict
        What was found, by coordinate.
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
    wide: np.ndarray | None = None
    log_p_wide: np.ndarray | None = None
    answers: Answers | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    _at_first: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list, init=False)

    @property
    def finite(self) -> np.ndarray:
        """At which draws log p is finite."""
        return np.isfinite(self.log_p)

    def at_first(self, count: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Values and scores at the first draws with a finite log p, and the gradients they took.

        None is asked for twice: where slope and chains both begin there, one has them from the
        other.
        """
        known = sum(len(values) for values, _ in self._at_first)
        if known < count:
            self._at_first.append(self.evaluate(self.points[self.finite][known:count]))
        values, scores = (
            np.concatenate(part)[:count] for part in zip(*self._at_first, strict=True)
        )
        return values, scores, max(count - known, 0)

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
        return by_coordinate({"mean": self.mean, "sd": self.std} | self.columns, self.labels)

    def note(self, what: str, mean: np.ndarray, sd: np.ndarray) -> None:
        """Add two columns to the table."""
        self.columns[f"{what}_mean"], self.columns[f"{what}_sd"] = mean, sd


def drawn_fit(record: FitState, rows: Target, target: Target, sizes: Sizes, seed: int) -> DrawnFit:
    """Moments and draws of q, and log p at them; of streamed rows in one pass, with all else."""
    params, family = reported_params(record), record.family
    cov = None
    mean, std = mean_and_std(record, params)
    rows, target = in_one_period(mean, rows, target)
    if target.dim <= LARGEST_DENSE and (sizes.chains or family.has_density):
        cov = dense_covariance(record, params)
    count = max(sizes.draws, sizes.wide, sizes.chains)
    points, log_q = draw(family, params, seed, count, record.dtype, density=True)
    wide = None
    if log_q is not None and not record.local and np.all(np.isfinite(std) & (std > 0)):
        root = regular(root_of(cov, std), std)
        wide = wide_points(points[: sizes.wide], mean, root, seed)
    parts = parts_of(family, params, record.dtype, dense=cov is not None)
    answers = None
    if isinstance(target, StreamedTarget):
        rays = rays_of(target.layout, mean, std, cov, points[0])
        looked = points if sizes.images and parts is None else points[:0]
        images = candidates_of(target.layout, looked)
        log_p, log_p_wide, answers = _answered(target, points, wide, images, rays)
    else:
        log_p = target.log_prob(points)
        log_p_wide = None if wide is None else target.log_prob(wide)
    return DrawnFit(
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
        target.layout.labels,
        parts,
        wide,
        log_p_wide,
        answers,
    )


def elbo_of(log_p: np.ndarray, log_q: np.ndarray) -> tuple[float, float]:
    """The ELBO and its standard error, minus infinity where log p is not finite at a draw."""
    if not np.all(np.isfinite(log_p)):
        return -np.inf, np.nan
    ratios = log_p - log_q
    return float(ratios.mean()), float(ratios.std() / np.sqrt(len(ratios)))


def _answered(
    target: StreamedTarget,
    points: np.ndarray,
    wide: np.ndarray | None,
    images: Candidates,
    rays: Rays,
) -> tuple[np.ndarray, np.ndarray | None, Answers]:
    """Log p at draws of q and at wider ones, and what else one pass can answer."""
    others = points[:0] if wide is None else wide
    far = rays.points.astype(points.dtype)
    asked = [points, others, images.points.reshape(-1, target.dim), far]
    values, scores = target.in_one_pass(np.concatenate(asked), min(SLOPED, len(points)))
    log_p, log_p_wide, few, at_rays = np.split(
        values, np.cumsum([len(part) for part in asked])[:-1]
    )
    answers = Answers(scores, images, few.reshape(images.points.shape[:2]), rays, at_rays)
    return log_p, None if wide is None else log_p_wide, answers
