"""Which rows a term sees: those of a minibatch, or those of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vi.data.minibatches.row_numbers import Sampling
from vi.graphs.interpret import interpret

__all__ = ["Rows", "StreamedRows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows, or entries of another axis, that a minibatch takes.

    Parameters
    ----------
    key : object
        What makes two minibatches the same: minibatches with equal keys hold the same rows.
    index : TensorVariable
        Symbolic row numbers.
    length : TensorVariable
        Symbolic number of rows of the full data.
    sampling : Sampling
        How rows are chosen.
    words : tuple of two int, or None
        Key of the rows where they do not follow the run's key.
    """

    key: Any
    index: Any
    length: Any
    sampling: Sampling
    words: tuple[int, int] | None

    @property
    def size(self) -> int:
        """Rows of a batch."""
        return self.sampling.size

    @property
    def marks(self) -> tuple[Any, ...]:
        """Variables that say that a graph sees these rows."""
        return (self.index,)

    @property
    def factor(self) -> Any:
        """Rows in all over rows of a batch, symbolic."""
        return self.length.astype("float64") / self.index.shape[0]

    def count(self) -> int:
        """Rows in all, at present."""
        return int(interpret([], [self.length], [])[0])


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """Data containers of a model whose rows come from a stream, batch by batch.

    Parameters
    ----------
    inputs : dict of {str: TensorVariable}
        What takes the place of each container.
    n_rows : int
        Rows in all.
    size : int
        Rows of a batch.
    sample : dict of {str: array}
        Some rows, for checks.
    any_length : bool
        Whether other batches may have another length than ``size``, as in a pass over all rows.
    """

    inputs: dict[str, Any]
    n_rows: int
    size: int
    sample: dict[str, np.ndarray] = field(default_factory=dict)
    any_length: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """What compiled code depends on: streams with equal keys share it, whatever they bring."""
        types = tuple((name, variable.type) for name, variable in self.inputs.items())
        rows = tuple((name, array.shape[1:]) for name, array in self.sample.items())
        return self.n_rows, self.size, self.any_length, types, rows

    @property
    def marks(self) -> tuple[Any, ...]:
        """Variables that say that a graph sees these rows."""
        return tuple(self.inputs.values())

    @property
    def factor(self) -> Any:
        """Rows in all over rows of a batch: a number, symbolic for batches of any length."""
        if not self.any_length:
            return self.n_rows / self.size
        return self.n_rows / next(iter(self.inputs.values())).shape[0].astype("float64")

    def count(self) -> int:
        """Rows in all."""
        return self.n_rows
