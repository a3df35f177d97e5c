"""Algorithms: how a family learns from a target."""

from vi.algorithms.base import ALGORITHMS, Algorithm, Question, Rows, RowsOfStep, State
from vi.algorithms.batch_and_match import BatchAndMatch
from vi.algorithms.descent import Descent
from vi.algorithms.gradient import Gradient
from vi.algorithms.local import Local, LocalPart
from vi.algorithms.stein import Stein
from vi.foundation.registry import import_modules

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Asked",
    "BatchAndMatch",
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

Asked = Question
"""The name of :class:`Question` in 0.1.0."""

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
