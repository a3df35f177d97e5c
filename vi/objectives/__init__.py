"""Objectives: what is minimised."""

from vi.objectives.base import LogProb, Objective
from vi.objectives.elbo import ESTIMATORS, ClosedFormEntropy, MonteCarlo, StickingTheLanding

__all__ = [
    "ESTIMATORS",
    "ClosedFormEntropy",
    "LogProb",
    "MonteCarlo",
    "Objective",
    "StickingTheLanding",
]
