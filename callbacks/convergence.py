"""Stop when the parameters have settled."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.diagnostics.change import Difference, change
from vi.diagnostics.status import Converged
from vi.foundation.numbers import number

from .base import Callback

__all__ = ["CheckParametersConvergence"]


class CheckParametersConvergence(Callback):
    """Stop when the reported parameters change by less than a tolerance between two checks.

    It sees what ``approx`` reports: the averaged iterates where averaging is on. Small changes are
    no proof that the optimum is reached.

    Parameters
    ----------
    every : int
        Steps between two checks.
    tolerance : float
        The run ends when the norm of the change is below it.
    diff : {"relative", "absolute"}
        Change relative to the last check's parameters, or absolute; see
        :func:`vi.diagnostics.change`.
    ord : float
        Order of the norm over the parameters, as in :func:`numpy.linalg.norm`.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     x = pm.Normal("x", 2.0, 3.0)
    ...     check = vi.callbacks.CheckParametersConvergence(diff="absolute", tolerance=2e-2)
    ...     approx = vi.fit(method="advi", random_seed=1, callbacks=[check], progressbar=False)
    >>> approx.status.ending
    'converged'
    """

    def __init__(
        self,
        every: int = 100,
        tolerance: float = 1e-3,
        diff: Difference = "relative",
        ord: float = np.inf,
    ) -> None:
        super().__init__(every)
        if diff not in ("relative", "absolute"):
            raise ValueError(f"diff={diff!r} is unknown; use 'relative' or 'absolute'.")
        self.tolerance = number("tolerance", tolerance, above=0.0)
        self.diff: Difference = diff
        real = isinstance(ord, int | float | np.number) and not isinstance(ord, bool)
        if not real or np.isnan(ord):
            raise ValueError(
                f"ord={ord!r}: must be a number, the order of the norm: np.inf (the largest "
                "change), 2 (Euclidean), 1."
            )
        self.ord = ord
        self.previous: np.ndarray | None = None

    def get_state(self) -> dict[str, Any]:
        """What it knows of the run, for a checkpoint."""
        return {} if self.previous is None else {"previous": self.previous}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where the callback was that gave this state."""
        self.previous = state["previous"]

    def __call__(self, approx: Any, losses: np.ndarray, i: int) -> None:
        current = np.concatenate([shared.get_value().ravel() for shared in approx.params])
        previous, self.previous = self.previous, current
        if previous is not None and previous.shape == current.shape:
            norm = change(current, previous, self.diff, self.ord)
            if norm < self.tolerance:
                raise Converged(
                    f"the parameters changed by {norm:.2g} ({self.diff}) in {self.every} steps, "
                    f"less than the tolerance {self.tolerance:g}."
                )
