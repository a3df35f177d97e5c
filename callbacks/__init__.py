"""Callbacks: what can happen between steps."""

from .base import Callback
from .convergence import CheckParametersConvergence
from .plateau import CheckLossConvergence
from .settled import CheckConvergence
from .tracker import Tracker

__all__ = [
    "Callback",
    "CheckConvergence",
    "CheckLossConvergence",
    "CheckParametersConvergence",
    "Tracker",
]
