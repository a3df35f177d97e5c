"""ArviZ's functions of arrays, imported when they are asked for."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["array_stats"]


@functools.cache
def array_stats() -> Any:
    """Return ``arviz_stats.base.array_stats``; it imports scipy.stats, a third of ``import vi``."""
    from arviz_stats.base import array_stats

    return array_stats
