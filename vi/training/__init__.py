"""Training: one loop over chunks of steps, on either backend."""

from vi.training.history import History
from vi.training.loop import Callback, check_callbacks, train
from vi.training.progress import ProgressBar
from vi.training.runners import Runner, runner_for
from vi.training.status import Converged, DivergedError, Status

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
