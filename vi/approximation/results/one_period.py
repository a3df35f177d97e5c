"""A log density of angles, looked at in one turn around a fit."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from vi.foundation.layout import Layout
from vi.search.tails import PERIODIC
from vi.targets.backends.view import View
from vi.targets.base import Batch, Target

__all__ = ["OnePeriod", "in_one_period", "in_one_turn", "wider_than_a_turn"]

UNIFORM = np.pi / np.sqrt(3)
"""The standard deviation of an angle of which nothing is known."""


class OnePeriod(View):
    r"""Log p within half a turn of a centre, minus infinity beyond.

    Angles are unconstrained as they are, so that log p comes back at every turn, and a posterior is
    one of infinitely many copies. A fit that has one of them lacks nothing.

    Parameters
    ----------
    target : Target
        Log p of all turns.
    angles : numpy.ndarray
        Indices of the coordinates that are angles, in radians, ``(A,)``.
    centre : numpy.ndarray
        ``(D,)``.
    """

    def __init__(self, target: Target, angles: np.ndarray, centre: np.ndarray) -> None:
        super().__init__(target, target.layout)
        self._angles, self._centre = angles, np.asarray(centre, np.float64)

    def log_density(self, z: Any, inputs: Batch) -> Any:
        """Log p at one point ``(D,)``, for compiled code."""
        value = self._target.log_density(z, inputs)  # type: ignore[attr-defined]
        return jnp.where(self._within(z, jnp), value, -jnp.inf)

    def value_and_score(self, points: Any, inputs: Batch) -> tuple[Any, Any]:
        values, scores = self._target.value_and_score(points, inputs)
        module = jnp if self.traceable else np
        return module.where(self._within(points, module), values, -np.inf), scores

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        values = self._target.log_prob(points, inputs)
        return np.where(self._within(np.asarray(points), np), values, -np.inf).astype(values.dtype)

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        return self._target.constrain(points, names)

    def nearest(self, point: np.ndarray) -> np.ndarray:
        """The same angles in the turn around the centre, ``(D,)``."""
        off = point[self._angles] - self._centre[self._angles]
        near: np.ndarray = point.copy()
        near[self._angles] -= 2 * np.pi * np.round(off / (2 * np.pi))
        return near

    def _within(self, points: Any, module: Any) -> Any:
        off = points[..., self._angles] - self._centre[self._angles]
        return module.all(module.abs(off) <= np.pi, axis=-1)


def in_one_period(centre: np.ndarray, *targets: Target) -> tuple[Target, ...]:
    """The targets in one turn around a centre ``(D,)``; as they are where there are no angles.

    A target that comes twice is one afterwards too. Streamed ones stay as they are.
    """
    angles = _angles(targets[0].layout)
    if not len(angles) or not np.isfinite(centre).all():
        return targets
    turned = {
        id(target): target if target.in_passes else OnePeriod(target, angles, centre)
        for target in targets
    }
    return tuple(turned[id(target)] for target in targets)


def wider_than_a_turn(std: np.ndarray, layout: Layout) -> str:
    """The angles whose sds ``(D,)`` are those of a uniform one and more, in words."""
    angles = _angles(layout)
    return layout.describe(angles[~(std[angles] < UNIFORM)]) if len(angles) else ""


def in_one_turn(points: np.ndarray, layout: Layout) -> np.ndarray:
    """Draws ``(..., D)``, their angles in the turn around the direction of their mean."""
    angles = _angles(layout)
    if not len(angles):
        return points
    turned = points.copy()
    of_angles = points[..., angles].astype(np.float64)
    centre = np.angle(np.exp(1j * of_angles.reshape(-1, len(angles))).mean(axis=0))
    turned[..., angles] = centre + np.angle(np.exp(1j * (of_angles - centre)))
    return turned


def _angles(layout: Layout) -> np.ndarray:
    """Indices of coordinates that are angles."""
    slots = [s for s in layout if s.transform is not None and s.transform.startswith(PERIODIC)]
    return np.concatenate([np.arange(s.start, s.stop) for s in slots] or [np.empty(0, int)])
