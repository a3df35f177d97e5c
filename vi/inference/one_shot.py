"""Methods without steps: they find an approximation in one go, from the log density as a whole."""

from __future__ import annotations

import abc
from typing import Any

from vi.approximation import Approximation

__all__ = ["OneShot", "refuse_steps"]


class OneShot(abc.ABC):
    """Finds an approximation in one go."""

    @abc.abstractmethod
    def solve(self, approx: Approximation, n: int) -> None:
        """Find it with at most ``n`` iterations, and put it into ``approx``
        (:func:`vi.approximation.settle`).
        """


def refuse_steps(name: str, **options: Any) -> None:
    """Refuse the options of a run of steps."""
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise TypeError(
            f"{', '.join(given)}: {name} has no steps, it finds its approximation in one go from all rows. Leave it "
            "out; what the method takes is in its documentation."
        )
