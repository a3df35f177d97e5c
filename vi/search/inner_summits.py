"""Where all but the globals are most likely, given many values of those at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vi.search.inner_summit import ENOUGH, HALVINGS, NEWTON_STEPS, Inner, NoSummitError
from vi.search.sparse_factor import SparseFactor, several_conditionals
from vi.targets.backends.evaluation import evaluation

__all__ = ["Summits", "summits"]

BLOCK, NUMBERS = 64, 2 * 10**5
"""Points whose log densities are computed together, always as many; fewer of long ones, so that
few are computed in vain."""


class Summits(NamedTuple):
    """Given globals of each: where all others are most likely, and the marginal log density.

    Parameters
    ----------
    others : numpy.ndarray
        ``(n, K)``.
    factor : SparseFactor
        Those of minus the Hessians, ``(n, K)`` and ``(k, K)``.
    values : numpy.ndarray
        ``(K,)``; minus infinity where there is no summit that was found.
    """

    others: np.ndarray
    factor: SparseFactor
    values: np.ndarray


def summits(
    inner: Inner, at: np.ndarray, others: np.ndarray, *, quadratic: bool = False
) -> Summits:
    """The summits given globals ``(K, g)``, from others ``(n, K)`` on, by Newton's method.

    What is not positive definite on the way goes its way alone, with a ridge
    (:meth:`Inner.summit`).

    Parameters
    ----------
    inner : Inner
        Where one is found.
    at, others : numpy.ndarray
        The globals, and where to begin.
    quadratic : bool
        Whether log p is known to be quadratic in the others: one step then arrives.
    """
    count, n = len(at), len(inner.ties.order)
    evaluate = evaluation(inner.target, max(1, min(BLOCK, NUMBERS // inner.target.dim)))

    def looked(which: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner.products += len(which)
        values, scores = evaluate(inner.points(at[which], there))
        return np.where(np.isfinite(values), values, -np.inf), scores[:, inner.ties.order].T

    others = others.copy()
    values, scores = looked(np.arange(count), others)
    scale, weight = np.full((n, count), np.nan), np.full((inner.ties.count, count), np.nan)
    going, alone = np.flatnonzero(np.isfinite(values)), np.zeros(count, bool)
    for _ in range(NEWTON_STEPS):
        if not going.size:
            break
        factor = several_conditionals(
            inner.ties, *inner.curvatures(inner.points(at[going], others[:, going]))
        )
        step = factor.solve(scores[:, going])
        gain = 0.5 * np.sum(scores[:, going] * step, axis=0)
        bad = ~(np.isfinite(gain) & np.isfinite(factor.log_det))
        alone[going[bad]] = True
        scale[:, going], weight[:, going] = factor.scale, factor.weight
        enough = ENOUGH * np.maximum(1.0, 1e-6 * np.abs(values[going]))
        rising = ~bad & (gain >= enough)
        # the last step is taken unseen: how far from the summit a search ends would else be a tilt
        # of what lies around it
        last = ~bad & ~rising
        others[:, going[last]] += step[:, last]
        values[going[last]] += gain[last]
        going, step = going[rising], step[:, rising]
        waiting = np.arange(len(going))
        for halving in range(HALVINGS):
            if not waiting.size:
                break
            which = going[waiting]
            there = others[:, which] + 0.5**halving * step[:, waiting]
            new, slopes = looked(which, there)
            higher = new > values[which]
            up = which[higher]
            others[:, up], values[up] = there[:, higher], new[higher]
            scores[:, up] = slopes[:, higher]
            waiting = waiting[~higher]
        going = np.delete(going, waiting)
        if quadratic:
            break
    factor = SparseFactor(inner.ties, scale, weight)
    marginal = values - 0.5 * factor.log_det + 0.5 * n * np.log(2 * np.pi)
    for k in np.flatnonzero(alone):
        try:
            own = inner.summit(at[k], others[:, k])
        except NoSummitError:
            marginal[k] = -np.inf
            continue
        others[:, k], marginal[k] = own.others, own.value
        scale[:, k], weight[:, k] = own.factor.scale, own.factor.weight
    return Summits(others, factor, np.where(np.isfinite(marginal), marginal, -np.inf))
