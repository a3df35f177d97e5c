"""What some of streamed rows say of a fit: whether the ELBO still rises, and nothing of shape."""

from __future__ import annotations

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import dense_covariance, mean_and_std, reported_params
from vi.approximation.results.drawn_fit import LARGEST_DENSE, SLOPED
from vi.approximation.results.passes import one_pass_in_words
from vi.approximation.results.points import draw
from vi.diagnostics.diagnosis import by_coordinate
from vi.diagnostics.evidence import Evidence
from vi.diagnostics.gradient import Slope, slope
from vi.diagnostics.parts import root_of
from vi.foundation.seeds import SOME_ROWS, generator_from
from vi.targets.backends.streamed_target import StreamedTarget

__all__ = ["measured_on_some_rows"]

PIECES = 20
"""Pieces of rows: their differences say how far so many rows know anything."""


def measured_on_some_rows(record: FitState, target: StreamedTarget, seed: int) -> Evidence:
    r"""The ELBO and its slope from pieces of the rows, with errors by how these differ.

    A part of n of N rows has a posterior of its own, some :math:`\sqrt{N / n}` of the standard
    deviations of all rows away. So importance weights and chains on it would judge that; what a
    part does know without bias is a sum over all rows, as the ELBO and its gradient are.
    """
    params, family = reported_params(record), record.family
    mean, std = mean_and_std(record, params)
    cov = dense_covariance(record, params) if target.dim <= LARGEST_DENSE else None
    points, log_q = draw(family, params, seed, SLOPED, record.dtype, density=True)
    generator, size = generator_from(seed, SOME_ROWS), -(-target.stream.n_rows // PIECES)
    rows, all_rows = min(target.block_rows, size), target.stream.n_rows
    seen, values, scores = target.on_some_rows(points, rows, PIECES, generator)
    unseen = max(1 - seen / all_rows, 0.0)
    columns = {"mean": mean, "sd": std}
    one_pass = f"in one pass of {one_pass_in_words(target)} (diagnose(rows='all'))"
    skipped = [
        f"importance weights, short chains: they take all {all_rows:,} rows, the weights {one_pass}"
    ]
    finite, found, elbo, error = float(np.isfinite(values).all(axis=0).mean()), None, np.nan, np.nan
    if np.isfinite(values).all() and np.isfinite(scores).all():
        found = _slope(points, scores, mean, std, root_of(cov, std), unseen)
        columns |= {"slope_mean": found.mean, "slope_sd": found.sd}
        columns |= {"slope_error_mean": found.mean_error, "slope_error_sd": found.sd_error}
        known = f"which know a mean to {found.mean_error.max():.2g} sds of q"
        skipped.append(f"the other rows: ELBO and slope are those of {seen:,} rows, {known}")
        if log_q is not None:
            ratios = values - log_q
            elbo, error = float(ratios.mean()), _error(ratios, unseen)
    table = by_coordinate(columns, target.layout.labels)
    algorithm = record.algorithm
    followed = algorithm is not None and algorithm.has_elbo and algorithm.prior_weight == 1.0
    return Evidence(
        table,
        finite=finite,
        elbo=elbo,
        elbo_error=error,
        slope=found if followed and log_q is not None else None,
        some_rows=True,
        gradients=len(points),
        skipped=tuple(skipped),
    )


def _slope(
    points: np.ndarray,
    scores: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
    root: np.ndarray,
    unseen: float,
) -> Slope:
    """The slope, with errors of draws and of rows; scores are ``(pieces, S, D)``."""
    each = [slope(points, piece, mean, std, root) for piece in scores]
    whole = slope(points, scores.mean(axis=0), mean, std, root)
    means, sds = ([getattr(piece, what) for piece in each] for what in ("mean", "sd"))
    return Slope(
        whole.mean,
        np.hypot(whole.mean_error, _of_pieces(np.array(means), unseen)),
        whole.sd,
        np.hypot(whole.sd_error, _of_pieces(np.array(sds), unseen)),
    )


def _error(ratios: np.ndarray, unseen: float) -> float:
    """The standard error of the mean of values ``(pieces, S)``, by pieces and by draws."""
    of_draws = ratios.mean(axis=0).std() / np.sqrt(ratios.shape[1])
    return float(np.hypot(of_draws, _of_pieces(ratios.mean(axis=1), unseen)))


def _of_pieces(values: np.ndarray, unseen: float) -> np.ndarray:
    """The standard error of the mean of pieces ``(pieces, ...)``; none where no row is unseen."""
    error: np.ndarray = values.std(axis=0, ddof=1) * np.sqrt(unseen / len(values))
    return error
