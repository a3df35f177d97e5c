"""What a runner is: it advances a state by some steps."""

from __future__ import annotations

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, Asked, State
from vi.targets.base import Batch

__all__ = ["BUFFER", "Runner"]


BUFFER = 8192
"""Longest chunk of the compiled loop, the length of its loss buffer."""


ALWAYS = np.bool_(True)
"""An argument of compiled code, so that it is not known there."""


class Runner(abc.ABC):
    """Advances a state by up to ``n`` steps; abstract over where the log density is evaluated."""

    @abc.abstractmethod
    def run(self, state: State, batch: Batch, n: int) -> tuple[State, np.ndarray, bool]:
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

    def step_of(self, state: Any) -> int:
        """Steps that a state has behind it."""
        return int(state.step)


def tell_and_look(
    algorithm: Algorithm, state: State, asked: Asked, log_prob: Any, score: Any
) -> tuple[State, Any, Any]:
    """One ``tell``, and whether its loss and the new parameters are finite."""
    state, loss = algorithm.tell(state, asked, log_prob, score)
    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(state.params):
        finite &= jnp.all(jnp.isfinite(leaf))
    return state, loss, finite
