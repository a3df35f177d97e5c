"""Training: one loop over chunks of steps, and the runs that it advances."""

from vi.diagnostics.status import Converged, DivergedError, Status
from vi.training.history import History
from vi.training.loop import Callback, check_callbacks, train
from vi.training.one import OneRun, runner_for
from vi.training.progress import ProgressBar
from vi.training.run import Run
from vi.training.runner import Runner
from vi.training.saver import Saver
from vi.training.several import SeveralRuns
from vi.training.shared import SharedRun
from vi.training.supply import Supply, supply_for
from vi.training.traces import Traces
from vi.training.watch import Watch

__all__ = [
    "Callback",
    "Converged",
    "DivergedError",
    "History",
    "OneRun",
    "ProgressBar",
    "Run",
    "Runner",
    "Saver",
    "SeveralRuns",
    "SharedRun",
    "Status",
    "Supply",
    "Traces",
    "Watch",
    "check_callbacks",
    "runner_for",
    "supply_for",
    "train",
]
