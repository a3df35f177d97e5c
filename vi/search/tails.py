"""How log p falls far from a fit: not at all where p is improper, slowly in heavy tails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vi.foundation.layout import Layout
from vi.search.least_curvature import LARGEST_MATRIX, least_curvature
from vi.targets.backends.evaluation import log_prob_in_chunks
from vi.targets.base import Target

__all__ = ["Rays", "Tail", "look_along_level", "look_far", "rays_of", "tail_along"]

NEAR = (1e2, 1e3)
"""Standard deviations at which all rays are looked at: a normal is 5,000 nats and more lower there,
and a power of the distance shows."""

FARTHEST, OBLIQUE = 1e12, 1e10
"""Standard deviations to which rays are followed that fall slowly, along coordinates and along
other directions, which are known to rounding: a proper prior that is a million times wider than q
falls before that."""

LADDER = 10
"""Points of a ray that is followed."""

END = 400.0
"""Unconstrained values up to which coordinates with a transform are followed: ``exp`` of twice as
much is no number."""

PERIODIC = "circular"
"""The transform under which log p comes back for ever: that is no tail."""

NARROWEST = 1e-8
"""The smallest sd that rays are measured by: one that has collapsed to 1e-16 sees nothing fall."""

WIDEST, MOST = 5, 500
"""Principal directions of q that are looked at, the widest, and coordinates."""

IMPROPER = 1.05
"""The largest exponent a of a density that falls like r^-a and has no integral, with its error."""

DEEP = 30.0
"""Nats below the fit at which a level log p is left alone: nothing would get there."""

BESIDE = 0.3
"""How far from the mean towards a draw rays start."""

LEVEL = 3
"""Directions without curvature that are looked at."""


@dataclass(frozen=True)
class Rays:
    """Lines from a fit outwards.

    Parameters
    ----------
    start : numpy.ndarray
        Where they start, ``(D,)``.
    directions : numpy.ndarray
        One standard deviation along each, ``(rays, D)``.
    farthest : numpy.ndarray
        Standard deviations up to which each can be followed, ``(rays,)``.
    """

    start: np.ndarray
    directions: np.ndarray
    farthest: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """The start, and two points on each ray, ``(1 + 2 rays, D)``."""
        near = self.start + self.radii[:, :, None] * self.directions[:, None]
        return np.concatenate([self.start[None], near.reshape(-1, len(self.start))])

    @property
    def radii(self) -> np.ndarray:
        """How far these are, ``(rays, 2)``."""
        return np.stack(
            [np.minimum(NEAR[0], self.farthest / 4), np.minimum(NEAR[1], self.farthest / 2)], 1
        )


@dataclass(frozen=True)
class Tail:
    """The slowest fall of log p along a line from a fit.

    Parameters
    ----------
    exponent : float
        a of a density that falls like r^-a, where it falls no faster than a power; infinite else.
    names : str
        The variables that the line runs along.
    """

    exponent: float = np.inf
    names: str = ""

    @property
    def improper(self) -> bool:
        """Whether the density has no integral along the line."""
        return self.exponent <= IMPROPER

    @property
    def moments(self) -> str:
        """Which moments there are not, in words.

        Across a tail that gets no narrower outwards, r^-a leaves a mean for a > 2, and a variance
        for a > 3.
        """
        if self.improper or self.exponent > 3.05:
            return ""
        lacking = "mean and no variance" if self.exponent <= 2.05 else "variance"
        return (
            f"{self.names} has no {lacking}: its density falls like r^-{self.exponent:.2g}. "
            "Quantiles stand for it, and no mean or sd."
        )


def look_far(
    target: Target, mean: np.ndarray, std: np.ndarray, cov: np.ndarray | None, draw: np.ndarray
) -> Tail:
    """The slowest fall of log p around a fit: two points a ray, and more of those that fall slowly.

    Parameters
    ----------
    target : Target
        The log density.
    mean, std, cov : numpy.ndarray
        Moments of q; the covariance ``(D, D)`` or none.
    draw : numpy.ndarray
        A draw of q ``(D,)``.
    """
    rays = rays_of(target.layout, mean, std, cov, draw)
    return tail_along(target, rays, log_prob_in_chunks(target, rays.points.astype(target.dtype)))


def rays_of(
    layout: Layout, mean: np.ndarray, std: np.ndarray, cov: np.ndarray | None, draw: np.ndarray
) -> Rays:
    """Rays along the coordinates, the widest directions of q, and from 0 through its mean.

    They start beside the mean, towards a draw: at the mean itself coordinates may be equal, and a
    hierarchy of equal effects has no bound as its scale goes to 0.
    """
    unit = _unit(layout, std)
    axes = np.argsort(-unit, kind="stable")[: min(MOST, np.count_nonzero(unit))]
    along = np.zeros((len(axes), len(mean)))
    along[np.arange(len(axes)), axes] = unit[axes]
    others = [np.where(unit > 0, mean, 0.0)]
    if cov is not None and cov.ndim == 2 and np.all(np.isfinite(cov)):
        _, vectors = np.linalg.eigh(cov)
        others += [*np.where(unit > 0, vectors.T[::-1][:WIDEST], 0.0)]
    start = mean + BESIDE * (draw.astype(np.float64) - mean)
    return _rays(layout, start, unit, along, np.array(others))


def tail_along(target: Target, rays: Rays, values: np.ndarray) -> Tail:
    """The slowest fall along rays, of log p at their points ``(1 + 2 rays,)``.

    It is infinite if all are faster than those of a density with a variance.
    """
    with np.errstate(all="ignore"):
        pairs = values[1:].reshape(-1, 2)
        fall = (pairs[:, 0] - pairs[:, 1]) / np.log(rays.radii[:, 1] / rays.radii[:, 0])
    found = Tail()
    for ray in np.flatnonzero(np.isfinite(fall) & (fall < 4.0)):
        radii = np.geomspace(rays.radii[ray, 0], rays.farthest[ray], LADDER)
        points = rays.start + radii[:, None] * rays.directions[ray]
        along = log_prob_in_chunks(target, points.astype(target.dtype)).astype(np.float64)
        if not np.all(np.isfinite(along)) or values[0] - along[-1] > DEEP + 4 * np.log(radii[-1]):
            continue
        exponents = -np.diff(along) / np.diff(np.log(radii))
        exponent = float(exponents[-3:].max())
        level = exponent <= IMPROPER
        if exponent < min(found.exponent, 3.1) and not (level and values[0] - along[-1] > DEEP):
            found = Tail(exponent, _names(target.layout, rays.directions[ray]))
    return found


def look_along_level(target: Target, mean: np.ndarray, std: np.ndarray, draw: np.ndarray) -> Tail:
    """The fall along directions in which log p has no curvature at all.

    Coordinates of which only a sum is known have one that is along no coordinate.
    """
    if target.dim > LARGEST_MATRIX:
        return Tail()
    start = mean + BESIDE * (draw.astype(np.float64) - mean)
    bend = least_curvature(target, start, float(np.finfo(target.dtype).eps) ** 0.5)
    unit = _unit(target.layout, std)
    if bend is None or not len(bend.level) or not np.all(unit > 0):
        return Tail()
    none = np.empty((0, target.dim))
    rays = _rays(target.layout, start, unit, none, bend.level[:LEVEL])
    return tail_along(target, rays, log_prob_in_chunks(target, rays.points.astype(target.dtype)))


def _unit(layout: Layout, std: np.ndarray) -> np.ndarray:
    """Standard deviations; 0 where there is no tail to see."""
    unit = np.where(np.isfinite(std) & (std > 0), np.maximum(std, NARROWEST), 0.0)
    for slot in layout:
        if slot.transform is not None and slot.transform.startswith(PERIODIC):
            unit[slot.slice] = 0.0
    return unit


def _rays(
    layout: Layout, start: np.ndarray, unit: np.ndarray, axes: np.ndarray, others: np.ndarray
) -> Rays:
    """Rays to both sides, of one standard deviation along the coordinate that moves most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.nan_to_num(np.abs(others) / unit, nan=0.0, posinf=0.0).max(axis=1)
    others = others[sizes > 0] / sizes[sizes > 0, None]
    both = np.concatenate([axes, -axes, others, -others])
    limits = np.concatenate([np.full(2 * len(axes), FARTHEST), np.full(2 * len(others), OBLIQUE)])
    ends = np.full(len(start), np.inf)
    for slot in layout:
        if slot.transform is not None:
            ends[slot.slice] = END
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(both != 0, (ends - np.abs(start)) / np.abs(both), np.inf)
    return Rays(start, both, np.maximum(np.minimum(limits, room.min(axis=1)), 4.0))


def _names(layout: Layout, direction: np.ndarray) -> str:
    """The variables that move most along a direction."""
    sizes = np.abs(direction)
    return layout.describe(np.flatnonzero(sizes > 0.1 * sizes.max()))
