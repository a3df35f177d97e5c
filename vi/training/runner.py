"""What a runner is: it advances a state by some steps."""

from __future__ import annotations

import abc

import numpy as np

from vi.algorithms.base import State
from vi.targets.base import Inputs

__all__ = ["ALWAYS", "BUFFER", "Runner"]


BUFFER = 8192
"""Longest chunk of the compiled loop, the length of its buffer of losses.

One length serves chunks of every length without a new compilation. At 12 us a step this one is a
chunk's tenth of a second, and its 64 KiB are moved in a few microseconds.
"""


ALWAYS = np.bool_(True)
"""An argument of compiled code rather than a constant of it: XLA must not know that it is true.

See :mod:`vi.foundation.fusion`.
"""


class Runner(abc.ABC):
    """Advances a state by up to ``n`` steps; abstract over where the log density is evaluated."""

    @abc.abstractmethod
    def run(self, state: State, inputs: Inputs, n: int) -> tuple[State, np.ndarray, bool]:
        """Advance by ``n`` steps, or to the last step with finite values.

        Returns
        -------
        state : State
            The state after the last good step.
        losses : numpy.ndarray
            The good steps' losses; as many as steps done.
        finite : bool
            False if the next step gave a loss or a parameter that is not finite.
        """
