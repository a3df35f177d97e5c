"""The live approximation: parameters, moments, draws, files."""

from vi.approximation.approximation import Approximation
from vi.approximation.draws import sample_approx
from vi.approximation.kinds import FullRank, MeanField
from vi.approximation.storage import load

__all__ = ["Approximation", "FullRank", "MeanField", "load", "sample_approx"]
