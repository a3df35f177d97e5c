"""Neighbours: what other libraries call ``pm.fit`` for, and Bambi's models."""

from vi.neighbours import bambi
from vi.neighbours.as_pm_fit import as_pm_fit

__all__ = ["as_pm_fit", "bambi"]
