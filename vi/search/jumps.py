"""Interactions that no Hessian shows: where log p has kinks or switches, its gradient jumps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

__all__ = ["differences", "untold"]

LOOKS = 32
"""Sets of coordinates that are watched while others move. Of those with ``d`` neighbours each look
watches one in ``2 (d + 1)``: of a chain all but one in 300 are watched at least once."""

FARTHER = (1.0, -1.0, 3.0, -3.0)
"""Times that coordinates move by their steps: a kink is seen from where one crosses it."""

type Score = Callable[[np.ndarray], np.ndarray]
"""Takes points ``(K, D)`` and returns gradients of log p, ``(K, D)``, in units in which they and
those of the next point are about as long as the second derivatives."""


def untold(
    pattern: sp.csr_array, score: Score, point: np.ndarray, steps: np.ndarray, tolerance: float
) -> np.ndarray:
    """Coordinates whose gradient changes while they and all that they interact with stay.

    Parameters
    ----------
    pattern : scipy.sparse.csr_array
        The interactions that are known, symmetric, ``(D, D)``.
    score : callable
        Gradients of log p.
    point, steps : numpy.ndarray
        Where, and how far coordinates move, ``(D,)``.
    tolerance : float
        Change of a gradient, as a share of its size or of one, that is no rounding.
    """
    rng = np.random.default_rng(2)
    dim = len(point)
    share = 0.5 / (1.0 + np.diff(pattern.indptr))
    watched = rng.uniform(size=(LOOKS, dim)) < share
    held = watched | ((watched.astype(float) @ pattern.astype(float)) > 0)
    far = np.resize(FARTHER, LOOKS)[:, None]
    moved = point + np.where(held, 0.0, far * steps * rng.standard_normal((LOOKS, dim)))
    before, after = score(point[None]), score(moved)
    change = _changes(before, after, tolerance)
    found: np.ndarray = np.flatnonzero(np.any((change > 0) & watched, axis=0))
    return found


def differences(
    score: Score, point: np.ndarray, steps: np.ndarray, tolerance: float
) -> Callable[[np.ndarray], np.ndarray]:
    """By how much gradients change as one coordinate moves, in the place of the Hessian's products.

    Parameters
    ----------
    score, point, steps, tolerance
        As for :func:`untold`.

    Returns
    -------
    callable
        Takes unit vectors ``(K, D)``; what it returns is 0 where nothing but rounding changes.
    """
    before = score(point[None])

    def changes(directions: np.ndarray) -> np.ndarray:
        found = np.zeros_like(directions)
        for times in FARTHER:
            after = score(point + times * steps * directions)
            found += _changes(before, after, tolerance)
        return found

    return changes


def _changes(before: np.ndarray, after: np.ndarray, tolerance: float) -> np.ndarray:
    """The sizes of changes, 0 where they are rounding, or beyond where log p is finite."""
    with np.errstate(all="ignore"):
        change = np.abs(after - before)
        size = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1.0)
        found: np.ndarray = np.where(change > tolerance * size, change, 0.0)
    found[~np.isfinite(found)] = 0.0
    return found
