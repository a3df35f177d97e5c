"""What an algorithm is: three pure functions, init, ask and tell, over one pytree of state."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from vi.families.family import Family, Params
from vi.foundation.registry import Registry

__all__ = ["ALGORITHMS", "Algorithm", "Asked", "State"]

type Pytree = Any


class State(NamedTuple):
    """Everything a run is: a pytree of arrays, so that it can be saved, copied, vmapped and
    resumed.

    Parameters
    ----------
    params : dict of arrays
        The raw iterate.
    optimizer : pytree
        State of the optimiser.
    average : pytree
        State of the iterate average, an empty tuple where averaging is off.
    key : jax.Array
        The run's random key; it never changes, the noise of a step is a function of the key and the
        step.
    step : jax.Array
        Number of steps done, a scalar integer.
    """

    params: Params
    optimizer: Pytree
    average: Pytree
    key: jax.Array
    step: jax.Array


class Asked(NamedTuple):
    """A question of an algorithm to a target.

    Parameters
    ----------
    points : jax.Array
        Points ``(B, D)``.
    memo : pytree
        What made them, the noise for example; handed back to ``tell``, so that it is not computed
        twice.
    """

    points: jax.Array
    memo: Pytree


class Algorithm(abc.ABC):
    """Learns from a model by asking for its log density and score at some points.

    One step is: ``asked = ask(state)``; the backend evaluates log p and its gradient at
    ``asked.points``; ``state, loss = tell(state, asked, log_prob, score)``. All three are pure JAX
    functions that trace into one compiled loop.
    """

    family: Family
    """The family that is fitted."""

    short_name: str
    """The name under which the algorithm is stored in files."""

    loss_name: str
    """What the loss of a step is."""

    @abc.abstractmethod
    def init(self, params: Params, key: jax.Array) -> State:
        """State before the first step."""

    @abc.abstractmethod
    def ask(self, state: State) -> Asked:
        """Points at which the next step wants log p and the score, and what ``tell`` has to
        remember of them.
        """

    @abc.abstractmethod
    def tell(
        self, state: State, asked: Asked, log_prob: jax.Array, score: jax.Array
    ) -> tuple[State, jax.Array]:
        """The state after the step and the step's loss, from values ``(B,)`` and scores ``(B,
        D)``.
        """

    def focus(
        self, state: State, seen: Mapping[str, Any]
    ) -> tuple[Algorithm, State, Callable[[State], State]]:
        """What a step works on: an algorithm, its state, and how that state goes back into the
        whole one.

        Parameters
        ----------
        state : State
            The whole state.
        seen : mapping
            What the target says of the rows of the step (:meth:`vi.targets.Target.local`).

        Returns
        -------
        tuple
            By default the algorithm itself, all of the state, and nothing to put back.
        """
        return self, state, lambda new: new

    @abc.abstractmethod
    def report(self, state: State) -> Params:
        """The parameters to report: the average of the iterates where averaging is on."""


ALGORITHMS: Registry[type[Algorithm]] = Registry("algorithm", of=Algorithm)
"""The algorithms by name: files hold the names, contract tests run over all."""
