"""The live approximation: parameters, moments, draws, files."""

from vi.approximation.approximation import Approximation
from vi.approximation.empirical import Empirical
from vi.approximation.load import load, sample_approx
from vi.approximation.named import (
    FullRank,
    LowRank,
    MeanField,
    Mixture,
    NormalizingFlow,
    Structured,
)
from vi.approximation.noncentred import Noncentred
from vi.approximation.record.groups import Group

__all__ = [
    "Approximation",
    "Empirical",
    "FullRank",
    "Group",
    "LowRank",
    "MeanField",
    "Mixture",
    "Noncentred",
    "NormalizingFlow",
    "Structured",
    "load",
    "sample_approx",
]
