"""A fit with point estimates as a fit of the other variables, given these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import mean_and_std, reported_params
from vi.approximation.record.points import points_of
from vi.families import Family, Part, Product
from vi.families.point import point_entries
from vi.foundation.layout import Layout
from vi.targets.backends.view import View
from vi.targets.base import Batch, Target

__all__ = ["GivenPoints", "without_points"]


class GivenPoints(View):
    r"""Log p as a function of some coordinates, the others held where they are.

    Parameters
    ----------
    target : Target
        Log p of all coordinates.
    free : numpy.ndarray
        Indices of those that are left, ``(F,)``, in order.
    at : numpy.ndarray
        Values of all, ``(D,)``; those of the others count.
    """

    def __init__(self, target: Target, free: np.ndarray, at: np.ndarray) -> None:
        super().__init__(target, _layout_of(target.layout, free))
        self._free, self._at = free, np.asarray(at, target.dtype)

    def log_density(self, z: Any, inputs: Batch) -> Any:
        """Log p at one point ``(F,)``, for compiled code."""
        whole = jnp.asarray(self._at).at[self._free].set(z)
        return self._target.log_density(whole, inputs)  # type: ignore[attr-defined]

    def value_and_score(self, points: Any, inputs: Batch) -> tuple[Any, Any]:
        if self.traceable:
            whole: Any = (
                jnp.tile(jnp.asarray(self._at), (len(points), 1)).at[:, self._free].set(points)
            )
        else:
            whole = self._whole(points)
        values, scores = self._target.value_and_score(whole, inputs)
        return values, scores[:, self._free]

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        return self._target.log_prob(self._whole(points), inputs)

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        return self._target.constrain(self._whole(points), names)

    def _whole(self, points: np.ndarray) -> np.ndarray:
        whole = np.broadcast_to(self._at, (*np.shape(points)[:-1], len(self._at))).copy()
        whole[..., self._free] = points
        return whole


def without_points(fit: FitState, *targets: Target) -> tuple[FitState, list[Target]]:
    """The record and the targets of the variables that have a distribution, given the others.

    Parameters
    ----------
    fit : FitState
        A record, some of whose variables are point estimates.
    targets : Target
        Log densities of all variables; one that comes twice is one afterwards too.

    Raises
    ------
    ValueError
        If all variables are point estimates.
    """
    fixed = point_entries(fit.family, fit.layout.dim)
    free = np.setdiff1d(np.arange(fit.layout.dim), fixed)
    if not len(free):
        raise ValueError(
            f"All variables ({', '.join(points_of(fit))}) are point estimates, and a verdict is on "
            "distributions. Give some of them a family, vi.Group([...], family='mean_field')."
        )
    at, _ = mean_and_std(fit)
    given = {id(target): GivenPoints(target, free, at) for target in targets}
    reduced = replace(
        fit,
        family=_family_of(fit.family, free),
        layout=_layout_of(fit.layout, free),
        start=_params_of(fit),
        run=None,
        local=tuple(replace(group, encoder=None) for group in fit.local),
        starts=None,
    )
    return reduced, [given[id(target)] for target in targets]


def _family_of(family: Family, free: np.ndarray) -> Product:
    """The parts of a product that are no points, over the coordinates that are left."""
    assert isinstance(family, Product)
    left = set(free.tolist())
    parts = []
    for part in family.parts:
        if part.ranges[0][0] in left:
            ranges = tuple(
                (int(np.searchsorted(free, start)), int(np.searchsorted(free, stop)))
                for start, stop in part.ranges
            )
            parts.append(Part(part.name, part.family, ranges, part.frozen, part.weight))
    return Product(tuple(parts))


def _params_of(fit: FitState) -> dict[str, Any]:
    """The reported parameters of the parts that are no points."""
    assert isinstance(fit.family, Product)
    points = {
        part.name
        for part in fit.family.parts
        if part.entries[0] in point_entries(fit.family, fit.layout.dim)
    }
    params = reported_params(fit)
    return {n: value for n, value in params.items() if n.partition(".")[0] not in points}


def _layout_of(layout: Layout, free: np.ndarray) -> Layout:
    """The slots that are left, moved together."""
    left, slots = set(free.tolist()), []
    for slot in layout:
        if slot.start in left:
            start = int(np.searchsorted(free, slot.start))
            slots.append(replace(slot, start=start, stop=start + slot.size))
    return Layout(tuple(slots))
