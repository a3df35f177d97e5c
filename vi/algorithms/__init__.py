"""Algorithms: how a family learns from a target."""

from vi.algorithms.base import Algorithm, Asked, State
from vi.algorithms.gradient import Gradient

__all__ = ["Algorithm", "Asked", "Gradient", "State"]
