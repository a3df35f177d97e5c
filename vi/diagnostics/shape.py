"""Why a q of the wrong shape is wrong: what points of p show that q has not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["shape"]

CLEAR = 0.5
"""Correlations from here on are named: 256 chains know them to 0.06, and the largest of a quarter
of a million is below 0.3 where there is none."""

LARGEST = 500
"""Dimensions up to which pairs are looked at."""

OUTSIDE, MANY = 4.0, 5e-3
"""Points so many standard deviations away are named a heavy tail where there are so many: eighty
times as many as a normal has."""


def shape(points: np.ndarray, cov: np.ndarray | None, labels: Sequence[str]) -> str:
    """A word on what p has and q has not, with the variables; empty where nothing is seen.

    Parameters
    ----------
    points : numpy.ndarray
        Points that have moved towards p, ``(S, D)``.
    cov : numpy.ndarray or None
        Covariance of q, ``(D, D)`` or variances ``(D,)``.
    labels : sequence of str
        Names of the coordinates.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = (points - points.mean(axis=0)) / points.std(axis=0)
    usable = np.all(np.isfinite(standard), axis=0)
    if points.shape[1] <= LARGEST and usable.sum() > 1:
        kept = np.flatnonzero(usable)
        part = standard[:, kept]
        sizes = np.log(np.maximum(np.abs(part), 1e-12))
        sizes = (sizes - sizes.mean(axis=0)) / sizes.std(axis=0)
        found = _largest(sizes.T @ part / len(part))
        if found is not None:
            narrow, by = (labels[kept[i]] for i in found)
            return f"a funnel: the spread of {narrow} depends on {by}"
        found = _largest(part.T @ part / len(part) - _correlations(cov, kept))
        if found is not None:
            return f"correlated: {' and '.join(labels[kept[i]] for i in found)}"
    far = np.mean(np.abs(standard) > OUTSIDE, axis=0)
    worst = int(np.argmax(np.where(usable, far, 0.0)))
    return f"a heavy tail in {labels[worst]}" if usable[worst] and far[worst] > MANY else ""


def _largest(matrix: np.ndarray) -> tuple[int, int] | None:
    """Where the largest clear entry beside the diagonal is."""
    sizes = np.abs(matrix - np.diag(np.diag(matrix)))
    row, column = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    return (int(row), int(column)) if sizes[row, column] > CLEAR else None


def _correlations(cov: np.ndarray | None, kept: np.ndarray) -> np.ndarray:
    """Correlations of q."""
    if cov is None or cov.ndim == 1:
        return np.eye(len(kept))
    part = cov[np.ix_(kept, kept)]
    sd = np.sqrt(np.diag(part))
    correlations: np.ndarray = part / np.outer(sd, sd)
    return correlations
