"""Algorithms: how a family learns from a target."""

from vi.algorithms.base import ALGORITHMS, Algorithm, Asked, State
from vi.algorithms.descent import Descent
from vi.algorithms.gradient import Gradient
from vi.algorithms.local import Local, LocalPart
from vi.algorithms.stein import Stein
from vi.foundation.registry import import_modules

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

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
