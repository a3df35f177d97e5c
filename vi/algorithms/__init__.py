"""Algorithms: how a family learns from a target."""

from vi.algorithms.base import Algorithm, State
from vi.algorithms.gradient import Gradient

__all__ = ["Algorithm", "Gradient", "State"]
