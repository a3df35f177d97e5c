"""The live approximation: parameters, moments, draws, files."""

from vi.approximation.approximation import Approximation
from vi.approximation.empirical import Empirical
from vi.approximation.files.read import load
from vi.approximation.named import FullRank, LowRank, MeanField, NormalizingFlow
from vi.approximation.record.groups import Group
from vi.approximation.results.draws import sample_approx

__all__ = [
    "Approximation",
    "Empirical",
    "FullRank",
    "Group",
    "LowRank",
    "MeanField",
    "NormalizingFlow",
    "load",
    "sample_approx",
]
