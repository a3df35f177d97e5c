"""Methods without steps: they find an approximation in one go, from the log density as a whole."""

from __future__ import annotations

import abc

from vi.approximation.record.fit_state import FitState
from vi.inference.run_options import RunOptions

__all__ = ["OneShot", "refuse_one_step", "refuse_steps"]

STEPS_ONLY = (
    "callbacks",
    "obj_n_mc",
    "obj_optimizer",
    "averaging",
    "total_grad_norm_constraint",
    "more_replacements",
    "batch_size",
    "scale",
    "mesh",
    "devices",
    "restarts",
    "checkpoint",
)
"""Options that only a run of steps has, in the order of the signature of ``fit``."""


class OneShot(abc.ABC):
    """Finds an approximation in one go."""

    @abc.abstractmethod
    def solve(self, fit: FitState, n: int) -> FitState:
        """The record with what was found in at most ``n`` iterations.

        :func:`vi.approximation.steps.in_one_go.settled` makes one from parameters.
        """


def refuse_one_step(name: str, fit: FitState, stepwise: bool, staged: bool) -> None:
    """Refuse to make one step, for the method of that name, where there is none to be made."""
    if not stepwise:
        raise TypeError(f"{name} has no steps: fit() finds the approximation in one go.")
    if staged and fit.algorithm is None:
        raise TypeError(
            f"{name} has stages: fit() makes them all, and there is no step to be made before it "
            "or after chains."
        )


def refuse_steps(name: str, options: RunOptions) -> None:
    """Refuse the options of a run of steps, for the method of that name."""
    given = [option for option in STEPS_ONLY if option in options.given]
    if given:
        raise TypeError(
            f"{', '.join(given)}: {name} has no steps, it finds its approximation in one go from "
            "all rows. Leave it out; what the method takes is in its documentation."
        )
