"""Which variables of a fit are point estimates."""

from __future__ import annotations

from vi.approximation.record.fit_state import FitState
from vi.families.point import point_entries

__all__ = ["judged_labels", "points_of"]


def points_of(fit: FitState) -> tuple[str, ...]:
    """Names of the variables that are point estimates, in the layout's order."""
    entries = set(point_entries(fit.family, fit.layout.dim).tolist())
    return tuple(slot.name for slot in fit.layout if slot.start in entries)


def judged_labels(fit: FitState) -> list[str]:
    """Names of the coordinates that have a distribution: those that a verdict is on."""
    points = set(point_entries(fit.family, fit.layout.dim).tolist())
    return [label for i, label in enumerate(fit.layout.labels) if i not in points]
