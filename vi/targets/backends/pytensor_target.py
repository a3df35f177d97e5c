"""A model's log density evaluated by PyTensor (numba or C) on the host, between compiled calls."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytensor
from pytensor.compile.mode import get_default_mode
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import applys_between
from pytensor.tensor.subtensor import AdvancedIncSubtensor

from vi.algorithms.base import RowsOfStep
from vi.data.minibatches.row_numbers import short_steps
from vi.foundation.precision import precision
from vi.graphs.compiling import compiling
from vi.graphs.gradient import gradient
from vi.graphs.named_dims import without_named_dims
from vi.graphs.to_float32 import to_float32
from vi.targets.base import Batch, Inputs, StepInputs, Target
from vi.targets.batches.local_rows import LocalRows
from vi.targets.batches.row_numbers import draw_rows, lengths_function
from vi.targets.batches.rows import Rows
from vi.targets.model.data_watch import DataWatch
from vi.targets.model.graph import ModelGraph

__all__ = ["PytensorTarget"]

STEPS = 64
"""Steps whose rows are drawn in one call: the call costs as much as the rows of many steps."""


class PytensorTarget(Target):
    """A model's graph compiled by PyTensor's default linker.

    Parameters
    ----------
    graph : ModelGraph
        The model's graphs.
    dtype : numpy.dtype
        Precision; ``float32`` rebuilds the graph in single precision.
    """

    backend = "pytensor"
    traceable = False
    why = ""
    """Why JAX cannot evaluate the model, where it was tried."""

    def __init__(self, graph: ModelGraph, dtype: np.dtype) -> None:
        self.graph = graph
        self.layout = graph.layout
        self.names = tuple(graph.variables)
        self.dtype = dtype
        inputs, (log_prob,) = self._in_precision([graph.log_prob])
        # floatX is the type of the zeros in a gradient
        with compiling(), pytensor.config.change_flags(floatX=dtype.name):
            score = gradient(log_prob, inputs[0])
        outputs = [log_prob.astype(dtype.name), score.astype(dtype.name)]
        if dtype == np.float32:  # some gradients are in float64 whatever the graph is in
            inputs, outputs = to_float32(inputs, outputs)
        self._value_and_score = _compile(inputs, outputs)
        self._local = LocalRows(graph, self._function_of_data)
        self.has_local = bool(graph.local)
        self._lengths = lengths_function(graph.rows)
        # the last rows drawn: what they were drawn for, and for each minibatch (STEPS, B)
        self._drawn: tuple[Any, list[np.ndarray]] = (None, [])
        self._point = np.empty(self.dim, dtype)
        # the buffer above and PyTensor's functions serve one thread at a time
        self._lock = threading.Lock()

    def watch(self) -> DataWatch:
        return self.graph.watch()

    def stale(self) -> tuple[str, ...]:
        return self.graph.stale()

    def batch(self) -> Inputs:
        arrays = tuple(self._cast(shared.get_value(borrow=True)) for shared in self.graph.shared)
        return Inputs(arrays, tuple(int(n) for n in self._lengths()))

    def place(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Streamed arrays in the types of the graph."""
        streamed = self.graph.streamed
        assert streamed is not None
        types = {name: variable.dtype for name, variable in streamed.inputs.items()}
        return {
            name: self._cast(array.astype(types[name], copy=False))
            for name, array in arrays.items()
        }

    def at_step(self, inputs: Inputs, words: Any, step: Any) -> StepInputs:
        step = int(step)
        rows = self._rows_at(inputs.counts, words, step) if self.graph.rows else []
        if rows and (sampling := self.graph.rows[0].sampling).short_last:
            n = inputs.counts[0]
            if short_steps(np.uint32(step), n, sampling):
                rows[0] = rows[0][: sampling.last_size(n)].copy()
        streamed: tuple[Any, ...] = ()
        if self.graph.streamed is not None:
            block = inputs.block
            assert block is not None
            place = step - int(block.first)
            streamed = tuple(block.arrays[name][place] for name in self.graph.streamed.inputs)
        return StepInputs(inputs.arrays, tuple(rows), streamed)

    def rows_of_step(self, inputs: StepInputs) -> dict[str, RowsOfStep]:
        return self._local(inputs)

    def value_and_score(self, points: np.ndarray, inputs: Batch) -> tuple[np.ndarray, np.ndarray]:
        arguments = inputs.values
        values = np.empty(len(points), self.dtype)
        scores = np.empty((len(points), self.dim), self.dtype)
        for i, point in enumerate(points):
            with self._lock:
                # a buffer of one layout: numba compiles anew for an array of any other
                self._point[:] = point
                values[i], scores[i] = self._value_and_score(self._point, *arguments)
        return values, scores

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        flat = np.asarray(points, self.dtype).reshape(-1, self.dim)
        with precision(self.dtype):  # the model may call JAX functions
            values, _ = self.value_and_score(flat, self.batch() if inputs is None else inputs)
        return values.reshape(np.shape(points)[:-1])

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        names = self.names if names is None else names
        function = self.compiled(
            ("constrain", names),
            lambda: _compile(*self._in_precision([self.graph.variables[name] for name in names])),
        )
        arrays = self.batch().arrays
        rows = []
        with precision(self.dtype):
            for point in np.asarray(points, self.dtype):
                with self._lock:
                    self._point[:] = point
                    rows.append([np.array(value) for value in function(self._point, *arrays)])
        return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(names)}

    def _function_of_data(self, graphs: Sequence[Any]) -> Callable[..., Any]:
        """A compiled function of what the log density reads besides the point."""
        inputs, outputs = self._in_precision(graphs)
        return _compile(inputs[1:], outputs)

    def _rows_at(self, counts: tuple[int, ...], words: Any, step: int) -> list[np.ndarray]:
        """For each minibatch, the row numbers of a step ``(B,)``."""
        which = (counts, tuple(int(word) for word in words), step // STEPS)
        if self._drawn[0] != which:
            steps = np.arange(STEPS, dtype=np.uint32) + np.uint32(step // STEPS * STEPS)
            rows = _draw_many(self.graph.rows, counts)(np.asarray(words, np.uint32), steps)
            # arrays of their own, of the graph's type: PyTensor's functions trust their arguments
            self._drawn = (which, [np.array(numbers, np.int64) for numbers in rows])
        return [numbers[step % STEPS] for numbers in self._drawn[1]]

    def _in_precision(self, outputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The graph's inputs and outputs, with data as inputs, in the target's precision."""
        stand_ins = [shared.type() for shared in self.graph.shared]
        replace = dict(zip(self.graph.shared, stand_ins, strict=True))
        outputs = clone_replace(list(outputs), replace=replace) if replace else list(outputs)
        inputs = [self.graph.flat, *stand_ins, *self.graph.per_step]
        outputs = without_named_dims(inputs, outputs)
        return to_float32(inputs, outputs) if self.dtype == np.float32 else (inputs, outputs)

    def _cast(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray | np.generic):  # a sparse matrix
            return (
                value.astype(self.dtype, copy=False)
                if np.issubdtype(value.dtype, np.floating)
                else value
            )
        array = np.asarray(value)
        kind = self.dtype if np.issubdtype(array.dtype, np.floating) else array.dtype
        return np.require(array.astype(kind, copy=False), requirements=["C", "W", "O"])


@functools.lru_cache(64)
def _draw_many(rows: tuple[Rows, ...], counts: tuple[int, ...]) -> Callable[..., Any]:
    return jax.jit(
        lambda words, steps: jax.lax.map(
            lambda step: draw_rows(rows, counts, words, step, jnp), steps
        )
    )


def _compile(inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., Any]:
    """Compile with PyTensor's default linker."""
    mode = get_default_mode()
    writes = sum(
        isinstance(node.op, AdvancedIncSubtensor)
        for node in applys_between(list(inputs), list(outputs))
    )
    if (
        writes > 1
    ):  # numba's fusion of writes that share an index drops some of them (seen with PyTensor 3.3.7)
        mode = mode.excluding("fuse_elemwise")
    with compiling():
        function = pytensor.function(
            [pytensor.In(v, borrow=True) for v in inputs],
            list(outputs),
            mode=mode,
            on_unused_input="ignore",
        )
    function.trust_input = True
    compiled: Callable[..., Any] = function
    return compiled
