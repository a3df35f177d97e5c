"""Batches in a model's graphs: where they are, and what takes their place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.data import MinibatchIndexRV, MinibatchOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import ancestors

from vi.data.minibatches.batch_tensors import MinibatchIndex, TakeRows
from vi.data.minibatches.row_numbers import MAX_ROWS, Sampling
from vi.data.missing import refuse_nan
from vi.foundation.lengths import refuse_lengths
from vi.graphs.interpret import interpret
from vi.graphs.lengths import rebuild_with_other_lengths
from vi.targets.batches.rows import Rows

__all__ = ["Batches", "find_batches", "has_batches", "is_batch"]


@dataclass(frozen=True, eq=False)
class Batches:
    """Minibatches found in graphs.

    Parameters
    ----------
    rows : tuple of Rows
        Their rows, each once, in the order in which they were found.
    tensors : dict of {Variable: tuple}
        For each batch tensor: its data, and its ``(axis, Rows)``.
    """

    rows: tuple[Rows, ...]
    tensors: dict[Variable, tuple[Any, tuple[tuple[int, Rows], ...]]]

    def swapped(self, graphs: Sequence[Any], *, full: bool, also: Sequence[Any] = ()) -> list[Any]:
        """The graphs with rows of the data, or all of the data, in place of the batch tensors.

        Shapes that PyMC fixed when the model was written (of a batch, or of a dim) are not asserted
        of what depends on the rows, or on the variables ``also``.

        Parameters
        ----------
        graphs : sequence of Variable
            The graphs; they are not changed.
        full : bool
            Whether all rows take the place of a batch; otherwise the rows of symbolic numbers do.
        also : sequence of Variable
            Variables of an open number of rows.
        """
        mapping: dict[Variable, Any] = {variable: variable for variable in also}
        for tensor, (data, axes) in self.tensors.items():
            new = data
            if not full:
                new = TakeRows(tuple(axis for axis, _ in axes)).symbolic(
                    data, [rows.index for _, rows in axes]
                )
            mapping[tensor] = new if new.dtype == tensor.dtype else new.astype(tensor.dtype)
        return rebuild_with_other_lengths(graphs, mapping)

    def refuse_nan(self) -> None:
        """Refuse data with NaN, naming the rows.

        Raises
        ------
        ValueError
            If there are any, and ``vi.Minibatch`` was not told ``nan="allow"``.
        """
        for tensor, (data, _) in self.tensors.items():
            array: Any = data.data if isinstance(data, Constant) else None
            if (
                isinstance(data, SharedVariable)
                and getattr(data.tag, "minibatch_nan", "raise") == "raise"
            ):
                array = data.get_value(borrow=True)
            if array is not None:
                name = f"The data of {tensor.name or data.name or 'a minibatch'}"
                advice = "Leave them out: vi.Minibatch(..., nan='drop')."
                refuse_nan({name: np.asarray(array)}, advice)

    def seen_by(self, graph: Any) -> tuple[Rows, ...]:
        """The rows whose batches a graph depends on."""
        up = set(ancestors([graph]))
        rows_above = [
            rows for tensor, (_, axes) in self.tensors.items() if tensor in up for _, rows in axes
        ]
        return tuple(dict.fromkeys(rows_above))


def is_batch(variable: Variable) -> bool:
    """Whether a variable is a batch of ``pm.Minibatch`` or ``vi.Minibatch``."""
    return variable.owner is not None and isinstance(variable.owner.op, MinibatchOp | TakeRows)


def has_batches(model: Any, also: Iterable[Any] = ()) -> bool:
    """Whether a PyMC model, or other graphs, have batches in them."""
    every = [
        *also,
        *model.basic_RVs,
        *model.deterministics,
        *model.potentials,
        *model.rvs_to_values.values(),
    ]
    return any(is_batch(variable) for variable in ancestors(every))


def find_batches(graphs: Sequence[Any]) -> Batches:
    """Find the batch tensors of graphs.

    Raises
    ------
    ValueError
        If a batch is empty or larger than its data, arrays of one batch have different lengths, or
        there are too many rows.
    """
    by_key: dict[Any, Rows] = {}
    tensors: dict[Variable, Any] = {}
    for variable in dict.fromkeys(ancestors(list(graphs))):
        if not is_batch(variable):
            continue
        node = variable.owner
        if isinstance(node.op, MinibatchOp):
            position = node.outputs.index(variable)
            if position == len(node.outputs) - 1:
                continue  # the random generator
            data = node.inputs[position]
            axes = [(0, _rows_of_pymc(node, by_key))]
        else:
            data, *indices = node.inputs
            axes = [
                (axis, _rows_of(index.owner, by_key))
                for axis, index in zip(node.op.axes, indices, strict=True)
            ]
        tensors[variable] = (data, tuple(axes))
    for rows in by_key.values():
        _check_counts(
            rows,
            [
                (data, axis)
                for data, axes in tensors.values()
                for axis, axis_rows in axes
                if axis_rows is rows
            ],
        )
    return Batches(tuple(by_key.values()), tensors)


def _rows_of(node: Apply, by_key: dict[Any, Rows]) -> Rows:
    assert isinstance(node.op, MinibatchIndex)
    key = (node.op, int(interpret([], [node.inputs[1]], [])[0]))
    if key not in by_key:
        index = pt.vector("rows", dtype="int64")
        by_key[key] = Rows(key, index, node.inputs[1], node.op.sampling, node.op.words)
    return by_key[key]


def _rows_of_pymc(node: Apply, by_key: dict[Any, Rows]) -> Rows:
    generator = node.inputs[-1]  # shared, the same in every copy of the graph
    if generator not in by_key:
        inner = next(n for n in node.op.fgraph.toposort() if isinstance(n.op, MinibatchIndexRV))
        size = int(np.ravel(inner.op.size_param(inner).data)[0])
        if size < 1:
            raise ValueError(f"A pm.Minibatch has batch_size={size}; it must be at least 1.")
        index = pt.vector("rows", dtype="int64")
        by_key[generator] = Rows(generator, index, node.inputs[0].shape[0], Sampling(size), None)
    return by_key[generator]


def _check_counts(rows: Rows, sources: Sequence[tuple[Any, int]]) -> None:
    """Refuse data of different lengths, and sizes that the data cannot serve."""
    counts = [int(n) for n in interpret([], [data.shape[axis] for data, axis in sources], [])]
    lengths = {f"array {i}": n for i, n in enumerate(counts)}
    refuse_lengths("The arrays of one minibatch", lengths)
    if rows.size > counts[0]:
        raise ValueError(
            f"batch_size={rows.size} is larger than the data, which have {counts[0]} rows."
        )
    if counts[0] > MAX_ROWS:
        raise ValueError(f"The data have {counts[0]} rows; at most {MAX_ROWS} can be numbered.")
