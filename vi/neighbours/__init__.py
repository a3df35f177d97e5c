"""Neighbours: libraries on top of PyMC that call ``pm.fit`` themselves."""

from vi.neighbours.as_pm_fit import as_pm_fit

__all__ = ["as_pm_fit"]
