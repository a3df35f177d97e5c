"""The live approximation: parameters, moments, draws, files."""

from vi.approximation.approximation import Approximation
from vi.approximation.draws import sample_approx
from vi.approximation.empirical import Empirical
from vi.approximation.groups import Group
from vi.approximation.kinds import FullRank, LowRank, MeanField, NormalizingFlow
from vi.approximation.storage import load

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
