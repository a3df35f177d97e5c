"""A log density that is another one, seen in some other way."""

from __future__ import annotations

from typing import Any

from vi.foundation.layout import Layout
from vi.targets.base import Inputs, Target

__all__ = ["View"]


class View(Target):
    """A target that reads what another one reads, and asks it for its values.

    Parameters
    ----------
    target : Target
        The other one.
    layout : Layout
        Where the variables lie in the vector that this one takes.
    """

    def __init__(self, target: Target, layout: Layout) -> None:
        self._target = target
        self.layout, self.dtype = layout, target.dtype
        self.names, self.backend = target.names, target.backend
        self.traceable, self.share = target.traceable, target.share
        self.has_local = target.has_local

    def watch(self) -> Any:
        return self._target.watch()

    def stale(self) -> tuple[str, ...]:
        return self._target.stale()

    def batch(self) -> Inputs:
        return self._target.batch()
