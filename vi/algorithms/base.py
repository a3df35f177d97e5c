"""What an algorithm is: three pure functions, init, ask and tell, over one pytree of state."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from vi.families.family import Family, Params
from vi.foundation.registry import Registry

__all__ = ["ALGORITHMS", "Algorithm", "Question", "Rows", "RowsOfStep", "State"]

type Pytree = Any


class State(NamedTuple):
    """Everything a run is, as a pytree of arrays: it can be saved, copied, vmapped and resumed.

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


class Question(NamedTuple):
    """Where an algorithm wants to know the log density.

    Parameters
    ----------
    points : jax.Array
        Points ``(K, D)``.
    noise : pytree
        The random numbers behind the points. ``tell`` gets them back: recomputed from the key they
        would cost a second run of the random number generator, which XLA does not merge with the
        first and which is a large part of a small model's step.
    """

    points: jax.Array
    noise: Pytree


class RowsOfStep(NamedTuple):
    """The rows of a local variable that a step is made on.

    Parameters
    ----------
    numbers : array
        Which rows of all, ``(B,)``.
    inputs : tuple of arrays
        Their data that an encoder reads, each ``(B, ...)``; empty without an encoder.
    """

    numbers: Any
    inputs: tuple[Any, ...]


type Rows = Mapping[str, RowsOfStep]
"""The rows of a step by local variable; empty where no variable is local."""


class Algorithm(abc.ABC):
    """Learns from a model by asking for its log density and score at some points.

    One step is: ``question = ask(state, rows)``; the backend evaluates log p and its gradient at
    ``question.points``; ``state, loss = tell(state, question, log_prob, score, rows)``. All are
    pure JAX functions that trace into one compiled loop. An algorithm is a frozen dataclass, and
    equal ones share their compiled code.
    """

    family: Family
    """The family that is fitted."""

    short_name: str
    """The name under which the algorithm is stored in files."""

    uses_optimizer: bool = False
    """Whether steps are made by an optax transformation in the family's parameters.

    Only then do an optimiser, a limit of the gradient's norm, an average of the iterates and a
    number of draws mean anything.
    """

    few_steps: bool = False
    """Whether a fit is some tens of steps, so that on little data it is compiling that counts."""

    has_elbo: bool = False
    """Whether the loss is minus the ELBO, so that several runs can be compared by it."""

    entropy_weight: float | None = None
    """The weight of the entropy in the ELBO that is minus the loss; ``None`` where it is none.

    Only with one may a search of that ELBO over fixed draws come before the first step.
    """

    linear_in_log_p: bool = False
    """Whether a step's expectation is linear in log p and the score.

    Only then may those of a batch, scaled to all rows, take their place: minibatches, streams and
    local variables are refused without it.
    """

    prior_weight: float = 1.0
    """What multiplies the log prior, log Jacobians included, in the log density of the steps."""

    @property
    @abc.abstractmethod
    def loss_name(self) -> str:
        """What the loss of a step is."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """How steps are made, as values that any file format can hold: text and numbers."""

    @abc.abstractmethod
    def init(self, params: Params, key: jax.Array) -> State:
        """State before the first step."""

    @abc.abstractmethod
    def ask(self, state: State, rows: Rows) -> Question:
        """Points at which the next step wants log p and the score.

        Only local variables need ``rows``; the points are then those of the batch, not of all rows.
        """

    @abc.abstractmethod
    def tell(
        self, state: State, question: Question, log_prob: jax.Array, score: jax.Array, rows: Rows
    ) -> tuple[State, jax.Array]:
        """The state after the step, and the step's loss.

        Parameters
        ----------
        state : State
            The state that asked.
        question : Question
            What it asked.
        log_prob, score : jax.Array
            Values ``(K,)`` and gradients ``(K, D)`` of the log density at the points.
        rows : dict of RowsOfStep
            The rows that it asked for.

        Returns
        -------
        state : State
            The new state.
        loss : jax.Array
            A scalar; NaN where parameters of the new state are not finite. So a step that failed
            is known by its loss alone, without a look at parameters that it has not touched.
        """

    @abc.abstractmethod
    def report(self, state: State) -> Params:
        """The parameters to report: the average of the iterates where averaging is on."""


ALGORITHMS: Registry[type[Algorithm]] = Registry("algorithm", of=Algorithm)
"""The algorithms by name: files hold the names, contract tests run over all."""
