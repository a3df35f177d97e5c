"""Algorithms: how a family learns from a target."""

from vi.algorithms.base import Algorithm, Question, Rows, RowsOfStep, State
from vi.algorithms.descent import Descent
from vi.algorithms.gradient import Gradient
from vi.algorithms.local import Local, LocalPart
from vi.algorithms.stein import Stein

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Descent",
    "Gradient",
    "Local",
    "LocalPart",
    "Question",
    "Rows",
    "RowsOfStep",
    "State",
    "Stein",
]

ALGORITHMS: dict[str, type[Algorithm]] = {"gradient": Gradient, "local": Local, "stein": Stein}
"""The algorithms by the name under which a saved run finds them."""
