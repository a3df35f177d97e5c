"""The way up to a mode: a saddle is left, and what has no mode is said."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vi.diagnostics.status import Status
from vi.search.modes import Modes, find_modes
from vi.search.summit import AT_THE_END, Fault, Summit, look
from vi.targets.base import Target

__all__ = ["Peak", "climb"]

logger = logging.getLogger("vi")

MOST_SADDLES = 5
"""Saddles that a search leaves: one that meets more follows a log p without a mode."""

FAR = 1e10
"""Times the distance of the start from 0: a search that went there follows log p without end."""


LEAST_GAIN = 0.1
"""Nats for each factor of e on the way to an end, that are no mode's: n entries whose common scale
goes to 0 gain n, and a mode at the end none.
"""


class Peak(NamedTuple):
    """Where searches ended, and what the best end is.

    Parameters
    ----------
    modes : Modes
        Where all searches ended.
    status : Status
        How the best one ended; ``stopped`` where there is no mode.
    fault : str
        As in :class:`vi.search.summit.Summit`.
    """

    modes: Modes
    status: Status
    fault: Fault = ""


def climb(target: Target, starts: np.ndarray, n: int) -> Peak:
    """Climb from the starts ``(K, D)``, and go on where the best search ended at a saddle.

    L-BFGS ends where log p has no gradient, and that is a saddle or a minimum too. Such a point is
    left in the direction in which log p rises, a few times at most.

    Parameters
    ----------
    target : Target
        The log density.
    starts : numpy.ndarray
        ``(K, D)``.
    n : int
        The most iterations of a search, those after a saddle included.

    Raises
    ------
    ValueError
        If no start leads to a finite value.
    """
    modes = find_modes(target, starts, n)
    reach = _reach(target, starts)
    for left in range(MOST_SADDLES + 1):
        summit = _summit(target, modes, reach, n)
        remaining = n - int(modes.iterations[modes.best])
        if summit.higher is None or remaining <= 0 or left == MOST_SADDLES:
            break
        logger.info("log p %.6g%s: the search goes on.", modes.values[modes.best], summit.message)
        modes = _joined(modes, find_modes(target, summit.higher[None], remaining))
    best = modes.best
    status = modes.status(best)
    if not summit.message:
        return Peak(modes, status)
    message = f"log p {modes.values[best]:,.6g}{summit.message}."
    if summit.fault == "saddle" and left:
        message += f" So it was at {left} points before: it may have no bound."
    if not summit.fault and summit.higher is None:
        return Peak(modes, replace(status, message=message))
    converged = modes.converged.copy()
    converged[best] = False
    if not summit.fault:
        status = replace(status, ending="max_steps", message=message)
        return Peak(replace(modes, converged=converged), status)
    stopped = replace(status, ending="stopped", message=message)
    return Peak(replace(modes, converged=converged), stopped, summit.fault)


def _summit(target: Target, modes: Modes, reach: np.ndarray, n: int) -> Summit:
    """What the end of the best search is; of one without iterations left, nothing is said."""
    best = modes.best
    point = modes.points[best]
    gone = np.flatnonzero(np.abs(point) > reach)
    if gone.size:
        message = (
            ", where the search left the numbers that there are: log p rises to an end of "
            f"{target.layout.describe(gone)}, and has no mode there"
        )
        return Summit("endless", message)
    arrived = bool(modes.converged[best])
    summit = Summit()
    if arrived or modes.iterations[best] < n:
        score = modes.path_scores[int(modes.iterations[best]), best]
        summit = look(target, point, float(modes.values[best]), score)
    collapsed = _collapsed(target, point)
    if not collapsed.size:
        return summit
    rose = _rose(modes, collapsed)
    if not rose and (summit.higher is not None or (arrived and not summit.fault)):
        return summit
    slots = [s for s in target.layout if np.any((s.start <= collapsed) & (collapsed < s.stop))]
    end = "0" if all(s.transform == "log" for s in slots) else "an end of its support"
    message = (
        f", and it rises without end as {target.layout.describe(collapsed)} goes to {end}, further "
        f"than the precision {target.dtype.name} can follow"
    )
    return Summit("endless", message)


def _collapsed(target: Target, point: np.ndarray) -> np.ndarray:
    """Entries that are as near to an end of their support as rounding is to 0 beside 1."""
    least = 0.8 * np.log(np.finfo(target.dtype).eps)
    near = np.zeros(len(point), bool)
    for slot in target.layout:
        if slot.transform in AT_THE_END:
            both = slot.transform != "log"  # its other end is infinity
            near[slot.slice] = (point[slot.slice] < least) | (both & (point[slot.slice] > -least))
    return np.flatnonzero(near)


def _rose(modes: Modes, collapsed: np.ndarray) -> bool:
    """Whether the best search gained all along the way to the ends at which entries are.

    Towards an end at which a mode lies log p becomes level; without a bound it gains as much with
    each factor.
    """
    best = modes.best
    last = int(modes.iterations[best]) + 1
    way = np.abs(modes.path[:last, best][:, collapsed]).max(axis=1)
    values, end = modes.path_values[:last, best], way[-1]
    half = int(np.argmax(way >= end / 2))
    return bool(values[-1] - values[half] > LEAST_GAIN * (end - way[half]) > 0)


def _reach(target: Target, starts: np.ndarray) -> np.ndarray:
    """How far a search can be from 0 before it has left the numbers, ``(D,)``."""
    reach = FAR * (1 + np.abs(starts).max(axis=0))
    for slot in target.layout:
        if slot.transform in AT_THE_END:
            reach[slot.slice] = AT_THE_END[slot.transform]
    return reach


def _joined(modes: Modes, further: Modes) -> Modes:
    """The searches, of which the best one went on: ``further`` is its second part."""
    best = modes.best
    first = int(modes.iterations[best]) + 1

    def path(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The others stay where they are; what the best one did past its end is left out."""
        longest = max(len(before), first + len(after))
        whole = before[np.minimum(np.arange(longest), len(before) - 1)].copy()
        own = np.concatenate([before[:first, best], after[:, 0]])
        whole[:, best] = own[np.minimum(np.arange(longest), len(own) - 1)]
        return whole

    def end(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        joined = before.copy()
        joined[best] = after[0]
        return joined

    return Modes(
        points=end(modes.points, further.points),
        values=end(modes.values, further.values),
        iterations=end(modes.iterations, further.iterations + first),
        converged=end(modes.converged, further.converged),
        gains=end(modes.gains, further.gains),
        path=path(modes.path, further.path),
        path_values=path(modes.path_values, further.path_values),
        path_scores=path(modes.path_scores, further.path_scores),
    )
