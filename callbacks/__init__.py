"""Callbacks: what can happen between steps."""

from .base import Callback
from .convergence import CheckParametersConvergence
from .tracker import Tracker

__all__ = ["Callback", "CheckParametersConvergence", "Tracker"]
