"""What a target is: a log density on a flat unconstrained vector, with the way back to the
model's variables.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from vi.foundation.kept import Keeper
from vi.foundation.layout import Layout

__all__ = ["Batch", "Counts", "Seen", "StepArrays", "Target"]

type Batch = tuple[Any, ...]
"""The arrays that a log density reads besides the point: lifted constants and shared variables, in
a fixed order.

Where rows are drawn or streamed, their numbers or the block of batches at hand follow;
:meth:`Target.at_step` turns them into the rows of a step.
"""


@jax.tree_util.register_static
@dataclass(frozen=True)
class Counts:
    """Rows in all, for each minibatch: part of the compiled code."""

    values: tuple[int, ...]


class StepArrays(NamedTuple):
    """Batches of consecutive steps.

    Parameters
    ----------
    first : scalar
        Step of the first batch.
    arrays : dict of arrays
        By name, each ``(steps, rows, ...)``.
    """

    first: Any
    arrays: dict[str, Any]


class Seen(NamedTuple):
    """What a step sees of the rows of a local variable.

    Parameters
    ----------
    rows : array
        Their numbers, ``(B,)``.
    inputs : tuple of arrays
        Their data that an encoder reads, each ``(B, ...)``; empty without an encoder.
    """

    rows: Any
    inputs: tuple[Any, ...]


class Target(Keeper, abc.ABC):
    """A log density ``log p(z)`` of a flat vector ``z`` in ``R^D``.

    ``log p`` is the density of the *unconstrained* variables: it includes the log Jacobian
    determinants of the transforms.
    """

    layout: Layout
    """Where each variable lies in the flat vector."""

    dtype: np.dtype
    """Precision of the evaluation."""

    backend: str
    """Name of the evaluation, ``"jax"`` or ``"pytensor"``."""

    traceable: bool
    """Whether :meth:`value_and_score` traces into a compiled JAX loop; otherwise it is called on
    the host.
    """

    names: tuple[str, ...]
    """Variables and deterministics of the model that :meth:`constrain` computes."""

    replicated: Any = None
    """The sharding of what is no data, where several devices share the target."""

    has_local: bool = False
    """Whether batches bring rows of local variables: then the flat vector is that of a batch."""

    @property
    def dim(self) -> int:
        """Length ``D`` of the flat vector."""
        return self.layout.dim

    @abc.abstractmethod
    def batch(self) -> Batch:
        """The current values of everything the log density reads (a changed ``pm.Data`` shows
        here).
        """

    def at_step(self, batch: Batch, words: Any, step: Any) -> Batch:
        """The batch with what changes from step to step: which rows, by the words of the run's
        key and the step.
        """
        return batch

    def local(self, now: Batch) -> dict[str, Seen]:
        """What a step sees of the rows of each local variable, by name; nothing by default."""
        return {}

    def place(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """Streamed arrays where the evaluation reads them."""
        return arrays

    @abc.abstractmethod
    def value_and_score(self, points: Any, batch: Batch) -> tuple[Any, Any]:
        """Return ``log p`` and its gradient at points ``(B, D)``: arrays ``(B,)`` and ``(B,
        D)``.
        """

    @abc.abstractmethod
    def log_prob(self, points: np.ndarray, batch: Batch | None = None) -> np.ndarray:
        """Return ``log p`` at points ``(..., D)``, as NumPy values ``(...)``; ``batch=None``
        reads the current data.
        """

    @abc.abstractmethod
    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        """Variables and deterministics of the model at points ``(S, D)``, by name, each ``(S,
        *shape)``.
        """
