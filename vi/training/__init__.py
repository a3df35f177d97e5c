"""Training: one loop over chunks of steps, on either backend."""

from vi.diagnostics.status import Converged, DivergedError, Status
from vi.training.compiled import runner_for
from vi.training.history import History
from vi.training.loop import Callback, check_callbacks, train
from vi.training.progress import ProgressBar
from vi.training.runner import Runner

__all__ = [
    "Callback",
    "Converged",
    "DivergedError",
    "History",
    "ProgressBar",
    "Runner",
    "Status",
    "check_callbacks",
    "runner_for",
    "train",
]
