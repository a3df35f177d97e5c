"""How a run ended: a value whose text is advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vi.diagnostics.html import colour_of, paragraph
from vi.foundation.html import card

__all__ = ["Converged", "DivergedError", "Ending", "Status"]

type Ending = Literal[
    "initialised",
    "running",
    "max_steps",
    "converged",
    "stopped",
    "interrupted",
    "diverged",
    "unreliable",
    "failed",
]


@dataclass(frozen=True)
class Status:
    """How a run ended.

    Parameters
    ----------
    ending : str
        ``initialised``: no step was done yet. ``running``: a run is going on. ``max_steps``: all
        steps asked for were done. ``converged``: a convergence check ended the run. ``stopped``:
        another callback raised ``StopIteration``, :func:`vi.find_map` came to a point that is no
        mode, or a fit in stages to a posterior that is improper.
        ``interrupted``: Ctrl-C, or a copy made in mid-run. ``diverged``: a value was not
        finite. ``unreliable``: all were, but not such as those of a fit can be, and the best state
        seen is reported. ``failed``: another error passed through, one in a callback for example.
    step : int
        Steps done so far, over all calls of ``fit`` and ``refine``.
    message : str
        What happened and what can be done about it.
    """

    ending: Ending
    step: int
    message: str

    def _repr_html_(self) -> str:
        title = f"{self.ending} at step {self.step:,}"
        return card(title, colour_of(self.ending), paragraph(self.message))

    def __str__(self) -> str:
        return f"{self.ending} at step {self.step:,}: {self.message}"


class Converged(StopIteration):
    """Raised by a convergence check: ends the run with the status ``converged``."""


class DivergedError(FloatingPointError):
    """The loss stopped being finite; the state before the failing step is kept.

    Attributes
    ----------
    approx
        The approximation with its last finite parameters; usable.
    """

    def __init__(self, message: str, approx: Any = None) -> None:
        super().__init__(message)
        self.approx = approx
