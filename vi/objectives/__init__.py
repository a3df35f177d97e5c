"""Objectives: what is minimised."""

from vi.foundation.registry import import_modules
from vi.objectives.base import ESTIMATORS, LogProb, Objective
from vi.objectives.elbo import ClosedFormEntropy, MonteCarlo, StickingTheLanding
from vi.objectives.importance_weighted import ImportanceWeighted

__all__ = [
    "ESTIMATORS",
    "ClosedFormEntropy",
    "ImportanceWeighted",
    "LogProb",
    "MonteCarlo",
    "Objective",
    "StickingTheLanding",
]

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
