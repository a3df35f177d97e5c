"""Algorithms: how a family learns from a target."""

from vi.algorithms.base import Algorithm, Asked, State
from vi.algorithms.descent import Descent
from vi.algorithms.gradient import Gradient
from vi.algorithms.local import Local, LocalPart
from vi.algorithms.stein import Stein

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Asked",
    "Descent",
    "Gradient",
    "Local",
    "LocalPart",
    "State",
    "Stein",
]

ALGORITHMS: dict[str, type[Algorithm]] = {"gradient": Gradient, "local": Local, "stein": Stein}
"""The algorithms by the name under which a saved run finds them."""
