"""What a target is: a log density on a flat vector, with the way back to the model's variables."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from vi.algorithms.base import RowsOfStep
from vi.foundation.html import card, table
from vi.foundation.kept import Keeper
from vi.foundation.layout import Layout

__all__ = ["Batch", "Inputs", "StepInputs", "StreamedBlock", "Target"]


class StreamedBlock(NamedTuple):
    """Streamed batches of consecutive steps.

    Parameters
    ----------
    first : scalar
        Step of the first batch.
    arrays : dict of arrays
        By name of the data container, each ``(steps, B, ...)``.
    """

    first: Any
    arrays: dict[str, Any]


# The numbers of rows are static: they decide how row numbers are computed, and are part of the
# compiled code. A change of them compiles anew; a change of the arrays' values does not.
@partial(jax.tree_util.register_dataclass, data_fields=("arrays", "block"), meta_fields=("counts",))
@dataclass(frozen=True)
class Inputs:
    """What a log density reads besides the point, for many steps.

    Parameters
    ----------
    arrays : tuple of arrays
        Lifted constants and shared variables, in the order of the graph.
    counts : tuple of int
        Rows in all, for each minibatch.
    block : StreamedBlock, optional
        The streamed batches at hand.
    """

    arrays: tuple[Any, ...]
    counts: tuple[int, ...] = ()
    block: StreamedBlock | None = None

    @property
    def values(self) -> tuple[Any, ...]:
        """The arguments of a log density that reads all rows.

        Raises
        ------
        TypeError
            If rows are drawn or streamed: which ones, :meth:`Target.at_step` says.
        """
        if self.counts or self.block is not None:
            raise TypeError(
                "These inputs are of many steps, and the log density reads the rows of one: "
                "take target.at_step(inputs, words, step)."
            )
        return self.arrays


@partial(
    jax.tree_util.register_dataclass, data_fields=("arrays", "rows", "streamed"), meta_fields=()
)
@dataclass(frozen=True)
class StepInputs:
    """What a log density reads besides the point, in one step.

    Parameters
    ----------
    arrays : tuple of arrays
        Lifted constants and shared variables, in the order of the graph.
    rows : tuple of arrays
        For each minibatch the numbers of its rows, ``(B,)``.
    streamed : tuple of arrays
        For each streamed data container its rows, ``(B, ...)``.
    """

    arrays: tuple[Any, ...]
    rows: tuple[Any, ...] = ()
    streamed: tuple[Any, ...] = ()

    @property
    def values(self) -> tuple[Any, ...]:
        """The arguments of the log density after the point."""
        return (*self.arrays, *self.rows, *self.streamed)


type Batch = Inputs | StepInputs
"""What a log density takes besides the point; a log density of all rows takes its ``Inputs``."""


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
    """Whether :meth:`value_and_score` traces into compiled code; if not, it runs on the host."""

    names: tuple[str, ...]
    """Variables and deterministics of the model that :meth:`constrain` computes."""

    replicated: Any = None
    """The sharding of what is no data, where several devices share the target."""

    finite_around: np.ndarray | None = None
    """A point around which log p was finite, wherever it was looked at, as far out as q starts."""

    in_passes: bool = False
    """Whether each question takes a pass over the data: many points are then one question."""

    share: float = 1.0
    """The part of the rows of data that an evaluation reads."""

    has_local: bool = False
    """Whether some variables are local: the flat vector then holds the rows of a batch."""

    @property
    def dim(self) -> int:
        """Length ``D`` of the flat vector."""
        return self.layout.dim

    def _repr_html_(self) -> str:
        title = f"log density of {self.dim:,} unconstrained numbers"
        where = table([("backend", self.backend), ("precision", str(self.dtype))])
        return card(title, None, where, self.layout._repr_html_())

    def is_finite_around(self, start: np.ndarray) -> bool:
        """Whether that was seen around this point ``(D,)``; False where nobody has looked."""
        return self.finite_around is not None and np.array_equal(self.finite_around, start)

    def watch(self) -> Any:
        """A new watch of the data that it reads, from now on; None where there are none."""
        return None

    def stale(self) -> tuple[str, ...]:
        """Names of data that are part of the compiled code and have changed since."""
        return ()

    @abc.abstractmethod
    def batch(self) -> Inputs:
        """The current values of everything the log density reads.

        A changed ``pm.Data`` shows here.
        """

    def at_step(self, inputs: Inputs, words: Any, step: Any) -> StepInputs:
        """What the log density reads in a step.

        Parameters
        ----------
        inputs : Inputs
            The data.
        words : array
            The two 32-bit words of the run's key; with the step they say which rows are taken.
        step : scalar
            Number of the step.
        """
        return StepInputs(inputs.arrays)

    def rows_of_step(self, inputs: StepInputs) -> dict[str, RowsOfStep]:
        """The rows of a step, by local variable; nothing where no variable is local."""
        return {}

    def place(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """Streamed arrays where the evaluation reads them."""
        return arrays

    @abc.abstractmethod
    def value_and_score(self, points: Any, inputs: Batch) -> tuple[Any, Any]:
        """Return ``log p`` ``(K,)`` and its gradient ``(K, D)`` at points ``(K, D)``."""

    @abc.abstractmethod
    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        """Return ``log p`` at points ``(..., D)``, as NumPy values ``(...)``.

        Without ``inputs`` it reads the current data.
        """

    @abc.abstractmethod
    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        """Variables and deterministics of the model at points ``(S, D)``, each ``(S, *shape)``."""
