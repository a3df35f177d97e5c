"""Stop when the loss no longer falls by more than its own noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.diagnostics.status import Converged
from vi.foundation.numbers import number, whole

from .base import Callback

__all__ = ["CheckLossConvergence"]

BATCHES = 10
"""Parts of a window: losses of neighbouring steps depend on each other, such means hardly."""


class CheckLossConvergence(Callback):
    r"""Stop when the average loss has stopped falling.

    The losses of each `every` steps are averaged. A window counts as lower than the lowest one
    before, if it is so by more than `errors` standard errors of the difference,

    .. math:: \bar L_{\min} - \bar L > z \sqrt{s_{\min}^2 + s^2},

    each from the means of ten parts of a window. After `patience` windows of which none was lower,
    the run ends. The tolerance is the noise itself, so it needs no units; a loss that falls by less
    than its noise in so many windows is not told from one that has settled, and a settled loss is
    no proof that q is near the posterior: :meth:`vi.Approximation.diagnose` looks at that.

    Parameters
    ----------
    every : int
        Steps between two looks, and of a window; a window has at least 20.
    patience : int
        Windows without a fall after which the run ends.
    errors : float
        Standard errors by which a window has to be lower.

    Raises
    ------
    TypeError
        In the run, if losses are not kept (``score=False``).

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     x = pm.Normal("x", 2.0, 3.0)
    ...     check = vi.callbacks.CheckLossConvergence(every=500)
    ...     approx = vi.fit(
    ...         50_000, method="advi", random_seed=1, callbacks=[check], progressbar=False
    ...     )
    >>> approx.status.ending, approx.status.step < 50_000
    ('converged', True)
    """

    def __init__(self, every: int = 1000, patience: int = 3, errors: float = 2.0) -> None:
        super().__init__(every)
        self.patience = whole("patience", patience, 1)
        self.errors = number("errors", errors, least=0.0)
        self.lowest: tuple[float, float] | None = None
        self.waited = self.looked = self.before = 0

    def get_state(self) -> dict[str, Any]:
        """What it knows of the run, for a checkpoint."""
        names = ("lowest", "waited", "looked", "before")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where the callback was that gave this state."""
        lowest = state["lowest"]
        self.lowest = None if lowest is None else (lowest[0], lowest[1])
        self.waited, self.looked = state["waited"], state["looked"]
        self.before = state.get("before", 0)  # of an older version

    def __call__(self, approx: Any, losses: np.ndarray | None, i: int) -> None:
        if losses is None:
            raise TypeError("CheckLossConvergence reads the losses: leave score=False out.")
        length = max(self.every, 2 * BATCHES)
        # losses of another stage may be of another kind: the evidence's bound, a tempered ELBO
        before = getattr(getattr(approx, "record", None), "losses_before", 0)
        if len(losses) - before < length:
            return
        if i <= self.looked or before != self.before:  # another run: the last one says nothing
            self.lowest, self.waited = None, 0
        self.looked, self.before = i, before
        window = losses[-length:]
        means = [np.nanmean(part) for part in np.array_split(window, BATCHES)]
        mean, error = float(np.mean(means)), float(np.std(means, ddof=1) / np.sqrt(BATCHES))
        if self.lowest is None:
            self.lowest = mean, error
            return
        lowest, its_error = self.lowest
        if lowest - mean > self.errors * np.hypot(error, its_error):
            self.lowest, self.waited = (mean, error), 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            raise Converged(
                f"the average loss {mean:,.5g} is not below {lowest:,.5g}, that of "
                f"{self.waited * self.every:,} steps ago, by more than {self.errors:g} standard "
                f"errors ({np.hypot(error, its_error):.2g})."
            )
