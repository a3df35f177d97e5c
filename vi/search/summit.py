"""Whether a point without a gradient is a mode: log p falls from it to all sides, or not."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from vi.foundation.layout import Layout
from vi.search.least_curvature import Bend, least_curvature
from vi.targets.base import Target

__all__ = ["AT_THE_END", "LEAST_FALL", "Fault", "Summit", "falls_along", "look"]

LEAST_FALL = 0.02
"""How much lower log p must be one standard deviation from the mode; 0.5 is right, far less says
that it is level.
"""

LENGTHS = 4.0 ** np.arange(3, -8, -1)
"""Steps along a direction, in its own units: tens, where a level log p is seen to fall at last, to
a ten-thousandth, where one that is bent beyond its second derivative still rises."""

MOST_LEVEL = 8
"""Level directions along which log p is looked at."""

AT_THE_END = dict.fromkeys(("log", "logodds", "interval"), 500.0)
"""Unconstrained values beyond which transforms, by name, give the end of the support: ``exp`` and
the logistic function leave what floats can hold."""

type Fault = Literal["", "saddle", "endless"]


class Summit(NamedTuple):
    """What a point is.

    Parameters
    ----------
    fault : str
        Nothing where it is a mode as far as was looked; ``saddle`` where log p rises from it;
        ``endless`` where it stays level for ever, or rises to a limit that it does not reach.
    message : str
        What is to be said of it, after its log p; nothing of an ordinary mode.
    higher : numpy.ndarray or None
        A point of a higher log p near a saddle, ``(D,)``.
    """

    fault: Fault = ""
    message: str = ""
    higher: np.ndarray | None = None


def look(target: Target, point: np.ndarray, value: float, score: np.ndarray) -> Summit:
    """What a point is at which a search has ended.

    Parameters
    ----------
    target : Target
        The log density.
    point : numpy.ndarray
        ``(D,)``.
    value : float
        The log density there.
    score : numpy.ndarray
        Its gradient there, ``(D,)``: nearly nothing, but for a search that came to a halt.
    """
    rounding = float(np.finfo(target.dtype).eps) ** 0.5
    tolerance = 2 * rounding * max(1.0, abs(value))  # what a search counts as nothing to gain
    bend = least_curvature(target, point, rounding)
    if bend is None:
        return Summit()
    if len(bend.rising):
        return _saddle(target, point, value, bend)
    falls = None if bend.matrix is None else falls_along(target, point, value, bend.matrix)
    return _not_rising(target, (point, value, score), bend, falls, tolerance)


def falls_along(target: Target, point: np.ndarray, value: float, matrix: np.ndarray) -> np.ndarray:
    """By how much log p is lower one standard deviation along each coordinate, ``(2, D)``.

    That is the coordinate's standard deviation given the others, by the curvature, or 1 where there
    is none. The first row is of steps upwards.
    """
    diagonal = np.diag(matrix)
    steps = np.diag(1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)))
    return value - _values(target, point + np.concatenate([steps, -steps])).reshape(2, -1)


def _saddle(target: Target, point: np.ndarray, value: float, bend: Bend) -> Summit:
    """A point from which log p rises along some directions of negative curvature.

    It is left along the most negative, or along all at once: at a minimum in many dimensions one at
    a time would take as many searches.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], len(bend.rising))
    directions = np.stack([bend.rising[0], signs @ bend.rising])
    changes, points = _changes(target, point, value, directions)
    message = (
        " at a point that is no mode: there is no gradient there, but log p rises to both sides "
        f"along {bend.names(target.layout, bend.rising[0])}"
    )
    return Summit("saddle", message, points[np.argmax(changes)] if changes.max() > 0 else None)


def _not_rising(
    target: Target,
    place: tuple[np.ndarray, float, np.ndarray],
    bend: Bend,
    falls: np.ndarray | None,
    tolerance: float,
) -> Summit:
    """What a point is where the curvature is not negative, by log p at a distance."""
    point, value, score = place
    level = bend.level[:MOST_LEVEL]
    directions = [*level]
    if falls is not None and bend.matrix is not None:
        rising = np.flatnonzero(np.any(falls < -tolerance, axis=0))
        directions += [*np.eye(len(point))[rising] / bend.scale[rising, None]]
        if rising.size and not len(bend.level):
            directions.append(np.linalg.solve(bend.matrix, score))  # Newton's step
    changes = np.empty((0, 0))
    if directions:
        changes, points = _changes(target, point, value, np.stack(directions))
        top = int(np.argmax(changes))
        if changes.flat[top] > tolerance:
            along = directions[top // changes.shape[1]]
            names = bend.names(target.layout, along)
            if len(bend.level):
                what = f" at a point that is no mode: log p still rises along {names}"
                return Summit("saddle", what, points[top])
            return Summit("", f", and it still rises along {names}: not at a mode yet", points[top])
    same = np.all(np.abs(changes[: len(level)]) <= tolerance, axis=1)
    if np.any(same):
        along = np.sqrt(np.sum(level[same] ** 2, axis=0))
        where = f"along {bend.names(target.layout, along)}"
        if np.count_nonzero(along) == len(point) and bend.matrix is not None:
            where = where if np.any(bend.matrix) else "in every direction"
        return Summit("", f"; it is the same {where}: there is no one mode")
    if falls is not None:
        return _on_the_level(target.layout, np.any(falls < LEAST_FALL - tolerance, axis=0))
    return Summit()


def _on_the_level(layout: Layout, level: np.ndarray) -> Summit:
    """What a point is from which log p does not fall in some coordinates, nor rises.

    Where a transform takes the coordinate to an end of the variable's support, that end is the
    mode; elsewhere log p rises to a limit that no point has.
    """
    if not np.any(level):
        return Summit()
    ends = np.zeros(len(level), bool)
    for slot in layout:
        ends[slot.slice] = slot.transform in AT_THE_END
    names = layout.describe(np.flatnonzero(level))
    if np.all(ends[level]):
        return Summit("", f" at the mode, at an end of {names}")
    return Summit("endless", f", but it falls no further along {names}: it has no mode there")


def _changes(
    target: Target, point: np.ndarray, value: float, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How log p changes along directions ``(k, D)``: ``(k, 2 L)``, and the points looked at.

    Points are ``(k * 2 L, D)``. What is not finite is a fall.
    """
    lengths = np.concatenate([LENGTHS, -LENGTHS])
    points = (point + lengths[:, None] * directions[:, None]).reshape(-1, len(point))
    changes = _values(target, points) - value
    changes = np.where(np.isfinite(changes), changes, -np.inf)
    return changes.reshape(len(directions), -1), points.astype(target.dtype)


def _values(target: Target, points: np.ndarray) -> np.ndarray:
    """Log p at points ``(k, D)``, one by one: any number of them is one compilation."""
    with np.errstate(all="ignore"):
        return np.array([float(target.log_prob(point)) for point in points])
