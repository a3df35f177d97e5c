"""The losses of several runs, and which of these leads."""

from __future__ import annotations

import numpy as np

from vi.diagnostics.losses import average_loss
from vi.training.history import History

__all__ = ["Traces"]


class Traces(History):
    """The losses of several runs; as one trace, those of the run whose recent losses are lowest.

    Runs are compared by their losses rather than by a new estimate of the ELBO: every objective
    and every kind of data has losses, and an estimate would need all rows.

    Parameters
    ----------
    runs : int
        Number of runs.

    Examples
    --------
    >>> traces = Traces(2)
    >>> traces.extend(np.array([[3.0, 4.0], [2.0, 1.0]]))
    >>> traces.leader, traces.values.tolist()
    (1, [4.0, 1.0])
    """

    def __init__(self, runs: int) -> None:
        self.before = 0  # several runs begin anew: no losses are of others
        self._traces = [History() for _ in range(runs)]
        self.leader = 0
        """Number of the leading run."""

    def extend(self, losses: np.ndarray) -> None:
        """Append losses ``(steps, runs)``, NaN from where a run failed."""
        for trace, of_run in zip(self._traces, losses.T, strict=True):
            trace.extend(of_run)
        if len(self):
            recent = [average_loss(trace.values) for trace in self._traces]
            self.leader = int(np.argmin(np.where(np.isfinite(recent), recent, np.inf)))

    @property
    def rows(self) -> np.ndarray:
        """The losses of all runs, ``(steps, runs)``."""
        return np.stack([trace.values for trace in self._traces], axis=1)

    def of_run(self, run: int) -> np.ndarray:
        """The losses of one run."""
        return self._traces[run].values

    @property
    def values(self) -> np.ndarray:
        """The losses of the leading run so far."""
        return self.of_run(self.leader)

    def __len__(self) -> int:
        return len(self._traces[0])
