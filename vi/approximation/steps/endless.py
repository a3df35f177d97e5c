"""Whether point estimates of a fit follow a density without a mode."""

from __future__ import annotations

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.results.given_points import GivenPoints
from vi.families.point import point_entries
from vi.search.climb import climb
from vi.search.summit import AT_THE_END

__all__ = ["ADVICE", "endless"]

WENT = 2.0
"""How far a point has gone towards an end of its support, in logarithms, before it is looked at."""

ITERATIONS = 300
"""The most iterations of a search; those of hierarchies end after about half as many."""

ADVICE = (
    "Points need a density with a mode: let what depends on a scale have a distribution beside it "
    "(vi.Group([scale], family='point'), vi.Group(None)), or give the scale a prior that falls to "
    "0 there faster."
)


def endless(fit: FitState) -> str:
    """What is said of points on the way to where log p has no bound; nothing of others.

    A centred hierarchy has none as its scale goes to 0 and its effects to each other. Steps follow
    it for as long as they are asked for, in a loss that looks like any other. So where a scale has
    become much smaller, a search for the mode goes on from the end of the steps, as that of
    :func:`vi.find_map`, over the points alone.

    Parameters
    ----------
    fit : FitState
        The record at the end of its steps, of all rows.
    """
    points = point_entries(fit.family, fit.layout.dim)
    if not len(points) or fit.local or fit.data.stream is not None:
        return ""
    mean, _ = mean_and_std(fit)
    gone = mean - fit.layout.flatten(fit.point, np.dtype(np.float64))
    near = np.zeros(len(mean), bool)
    for slot in fit.layout:
        if slot.transform in AT_THE_END:
            way = gone[slot.slice] if slot.transform == "log" else -np.abs(gone[slot.slice])
            near[slot.slice] = way < -WENT
    if not np.any(near[points]):
        return ""
    target, start = GivenPoints(target_of_all_rows(fit), points, mean), mean[points]
    start = start.astype(fit.dtype)[None]
    if not np.isfinite(target.log_prob(start)[0]):
        return ""
    peak = climb(target, start, ITERATIONS)
    return peak.status.message.rstrip(".") if peak.fault == "endless" else ""
