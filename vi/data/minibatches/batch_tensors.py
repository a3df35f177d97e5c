"""The tensors of a minibatch: operations that number and take rows, and data that may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.tensor.exceptions import ShapeError
from pytensor.tensor.type import TensorType
from pytensor.tensor.variable import TensorVariable

from vi.data.minibatches.row_numbers import Sampling, row_numbers, short_steps
from vi.data.missing import refuse_nan
from vi.foundation.arrays import refuse_masked
from vi.foundation.lengths import refuse_lengths
from vi.graphs.jax_dispatch import jax_funcify
from vi.graphs.object_mode import in_object_mode

__all__ = ["MinibatchIndex", "MinibatchVariable", "TakeRows", "is_row_data", "row_data"]


class MinibatchVariable(TensorVariable):
    """A tensor of the rows of a batch; see :func:`vi.Minibatch`."""

    @property
    def minibatch(self) -> Any:
        """The tensor itself, by the name that it had in PyMC 3."""
        return self

    @property
    def shared(self) -> Any:
        """The shared variable that holds all the data."""
        data = self.owner.inputs[0]
        if not isinstance(data, SharedVariable):
            raise TypeError(
                f"This minibatch was made from {data}, which is no array that could be changed."
            )
        return data

    def set_value(self, value: Any) -> None:
        """Replace the data; nothing is compiled again.

        Arrays that share rows must keep the same length.
        """
        _replace(self.shared, value)

    def update_shared(self) -> None:
        """Replace the data by what ``update_shared_f`` returns."""
        function, data = getattr(self.shared.tag, "minibatch_update", (None, ()))
        if function is None:
            raise TypeError("This minibatch has no update_shared_f; use set_value(new).")
        new = function()
        values = (new,) if len(data) == 1 else tuple(new)
        if len(values) != len(data):
            raise ValueError(
                f"update_shared_f returned {len(values)} arrays, the minibatch has {len(data)}."
            )
        for variable, value in zip(data, values, strict=True):
            _replace(variable, value)


class MinibatchIndex(Op):
    """Row numbers of a batch, shape ``(size,)``; fewer at the end of a short last batch.

    From a counter of batches and the length of every array that shares the rows.

    Parameters
    ----------
    sampling : Sampling
        How rows are chosen.
    words : tuple of two int, or None
        Key of the rows; ``None`` where the fit's seed decides.
    stream : int
        Tells minibatches without a key apart.
    """

    __props__ = ("sampling", "words", "stream")

    def __init__(self, sampling: Sampling, words: tuple[int, int] | None, stream: int) -> None:
        self.sampling = sampling
        self.words = words
        self.stream = 0 if words is not None else stream
        self._own = np.asarray(
            np.random.SeedSequence().generate_state(2) if words is None else words, np.uint32
        )

    def make_node(self, counter: Any, *lengths: Any) -> Apply:
        inputs = [counter, *(pt.as_tensor(length, dtype="int64") for length in lengths)]
        return Apply(self, inputs, [TensorType("int64", shape=(None,))("rows")])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        step, n = int(inputs[0]), int(inputs[1])
        lengths = {f"array {i}": int(length) for i, length in enumerate(inputs[1:])}
        refuse_lengths("The arrays of one minibatch", lengths)
        if self.sampling.size > n:
            raise ValueError(
                f"batch_size={self.sampling.size} is larger than the data, which have {n} rows."
            )
        rows = row_numbers(self._own, self.stream, step, n, self.sampling, np).astype(np.int64)
        if self.sampling.short_last and short_steps(np.uint32(step), n, self.sampling):
            rows = rows[: self.sampling.last_size(n)]
        outputs[0][0] = rows

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        raise ShapeError(
            "a length that is known would be fixed in what is written with it, where all rows come "
            "later"
        )

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] for _ in node.inputs]

    def do_constant_folding(self, fgraph: Any, node: Apply) -> bool:
        return False


class TakeRows(Op):
    """Entries of data along some axes.

    Parameters
    ----------
    axes : tuple of int
        The axes, one for each vector of indices.
    """

    __props__ = ("axes",)

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def make_node(self, data: Any, *indices: Any) -> Apply:
        shape = tuple(None if axis in self.axes else n for axis, n in enumerate(data.type.shape))
        output: Any = MinibatchVariable(type=TensorType(data.type.dtype, shape=shape), owner=None)
        return Apply(self, [data, *indices], [output])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        data, *indices = inputs
        for axis, index in zip(self.axes, indices, strict=True):
            data = np.take(data, index, axis=axis)
        outputs[0][0] = data

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        own = list(shapes[0])
        for axis, index in zip(self.axes, shapes[1:], strict=True):
            own[axis] = index[0]
        return [tuple(own)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] for _ in node.inputs]

    def symbolic(self, data: Any, indices: Sequence[Any]) -> Any:
        """The same as plain indexing, which every backend compiles."""
        for axis, index in zip(self.axes, indices, strict=True):
            data = data[(*(slice(None),) * axis, index)]
        return data


in_object_mode(MinibatchIndex)
in_object_mode(TakeRows)


@jax_funcify.register(MinibatchIndex)
def _index_to_jax(op: MinibatchIndex, node: Apply, **_: Any) -> Callable[..., Any]:
    def rows(counter: Any, *lengths: Any) -> Any:
        def on_host(*inputs: Any) -> np.ndarray:
            outputs = [[None]]
            op.perform(node, inputs, outputs)
            return np.asarray(outputs[0][0], shape.dtype)

        shape = jax.ShapeDtypeStruct((op.sampling.size,), jax.dtypes.canonicalize_dtype(np.int64))
        return jax.pure_callback(on_host, shape, counter, *lengths)

    return rows


@jax_funcify.register(TakeRows)
def _take_to_jax(op: TakeRows, **_: Any) -> Callable[..., Any]:
    return lambda data, *indices: op.symbolic(data, indices)


def _replace(shared: Any, value: Any) -> None:
    """Put other data into a shared variable, under the conditions of the first ones."""
    refuse_masked(value, "The new value")
    array = np.asarray(value)
    if array.ndim != shared.ndim or not np.can_cast(array.dtype, shared.dtype, "same_kind"):
        raise TypeError(
            f"The data are {shared.type}, the new value has {array.ndim} axes of {array.dtype}."
        )
    if array.ndim and not len(array):
        raise ValueError(f"The new value is empty, {array.shape}: there must be one row at least.")
    if is_row_data(shared) and shared.tag.minibatch_nan == "raise":
        refuse_nan({"The new value": array})
    array = np.ascontiguousarray(array, dtype=shared.dtype)
    # one that was changed in place: only another array is seen to be another
    same = array is shared.get_value(borrow=True)
    shared.set_value(array.copy() if same else array, borrow=True)


def row_data(array: np.ndarray, nan: str = "raise") -> Any:
    """An array as a shared variable that is known to hold rows, shape ``(n_rows, ...)``.

    Such a variable is moved to a device once, not for every run.
    """
    shared = pytensor.shared(array, borrow=True, name="data")
    shared.tag.minibatch_nan = "allow" if nan == "allow" else "raise"
    return shared


def is_row_data(variable: Any) -> bool:
    """Whether a shared variable was made by :func:`row_data`."""
    return hasattr(variable.tag, "minibatch_nan")
