"""A model's log density evaluated by JAX: it traces into the compiled loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytensor

from vi.algorithms.base import RowsOfStep
from vi.data.minibatches.batch_tensors import is_row_data
from vi.data.minibatches.row_numbers import short_steps
from vi.foundation.batching import mapped
from vi.foundation.compiling import effort_for, jitted
from vi.foundation.precision import precision
from vi.graphs.symbolic_gradient import with_symbolic_gradient
from vi.graphs.to_jax import jax_function
from vi.targets.backends.evaluation import entries_of
from vi.targets.backends.together import CACHE, points_together
from vi.targets.base import Batch, Inputs, StepInputs, StreamedBlock, Target
from vi.targets.batches.local_rows import LocalRows
from vi.targets.batches.row_numbers import draw_rows, lengths_function
from vi.targets.model.data_watch import DataWatch
from vi.targets.model.graph import ModelGraph

__all__ = ["JaxTarget", "Placed", "Short"]

BLOCK = 256
"""Points per vectorised call where there may be many.

A call costs less per point the more it has, until memory for its intermediate arrays runs short;
that of 256 points of a large model is still moderate.
"""

FEW = 8
"""Variables up to which a gradient is read by what makes it.

It is a sum of one padded piece for each variable. Where several read it XLA fuses the sum into each
of them and leaves the pieces, each computed for itself with all that it shares with the others:
code, and the time of a step, grow with the square of the number of variables. Behind a barrier the
sum is one array.
"""

type Placed = dict[Any, tuple[Any, jax.Array]]
"""Data of minibatches on a device: by shared variable, the value that was moved and what it became.
"""


@partial(jax.tree_util.register_dataclass, data_fields=("rows", "now"), meta_fields=("size",))
@dataclass(frozen=True)
class Short:
    """Row numbers of a batch that is shorter where ``now`` is true: its first ``size`` ones.

    Compiled code has one shape; which of two shapes a step has is decided while it runs.
    """

    rows: jax.Array
    now: jax.Array
    size: int


class JaxTarget(Target):
    """A model's graph converted to JAX.

    Parameters
    ----------
    graph : ModelGraph
        The model's graphs.
    dtype : numpy.dtype
        Precision.
    symbolic : bool
        Whether the gradient is PyTensor's, converted, in place of JAX's own.

    Raises
    ------
    ConversionError
        If the graph cannot run in JAX; the message says why.
    """

    backend = "jax"
    traceable = True

    def __init__(self, graph: ModelGraph, dtype: np.dtype, *, symbolic: bool = False) -> None:
        self.graph = graph
        self.layout = graph.layout
        self.names = tuple(graph.variables)
        self.dtype = dtype
        # constants become JAX arrays here; floatX is the type of the zeros in a gradient
        with precision(dtype), pytensor.config.change_flags(floatX=dtype.name):
            self._plain = jax_function(graph.inputs, [graph.log_prob])
            self._log_prob = (
                with_symbolic_gradient(graph.inputs, graph.log_prob) if symbolic else self._plain
            )
            self._local = LocalRows(graph, lambda outputs: jax_function(graph.inputs[1:], outputs))
        self.has_local = bool(graph.local)
        self._lengths = lengths_function(graph.rows)
        self.placed: Placed = {}

    def watch(self) -> DataWatch:
        return self.graph.watch()

    def stale(self) -> tuple[str, ...]:
        return self.graph.stale()

    def batch(self) -> Inputs:
        return self.batch_on(jax.device_put, self.placed)

    def batch_on(self, put: Callable[[np.ndarray], jax.Array], placed: Placed) -> Inputs:
        """The inputs, their arrays where ``put`` places them.

        Data of minibatches and constants, which may be large, are moved once and kept in
        ``placed``.
        """
        arrays = []
        with precision(self.dtype):
            for shared in self.graph.shared:
                value = shared.get_value(borrow=True)
                if not (is_row_data(shared) or getattr(shared.tag, "lifted", False)):
                    arrays.append(put(self.cast(value)))
                    continue
                if shared not in placed or placed[shared][0] is not value:
                    placed[shared] = (value, put(self.cast(value)))
                arrays.append(placed[shared][1])
        return Inputs(tuple(arrays), tuple(int(n) for n in self._lengths()))

    def place(self, arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """Streamed arrays on the device, in the target's precision."""
        with precision(self.dtype):
            return {name: jax.device_put(self.cast(array)) for name, array in arrays.items()}

    def at_step(self, inputs: Inputs, words: Any, step: Any) -> StepInputs:
        # numbers of the host stay there: one by one JAX would compile each operation
        xp = np if isinstance(step, np.generic) else jnp
        rows: list[Any] = list(draw_rows(self.graph.rows, inputs.counts, words, step, xp))
        # Only one minibatch without others beside it may be short: see vi.targets.batches.density.
        if rows and (sampling := self.graph.rows[0].sampling).short_last:
            n = inputs.counts[0]
            rows = [Short(rows[0], short_steps(step, n, sampling), sampling.last_size(n))]
        streamed: tuple[Any, ...] = ()
        if self.graph.streamed is not None:
            block = inputs.block
            assert block is not None
            place = step - block.first
            streamed = tuple(block.arrays[name][place] for name in self.graph.streamed.inputs)
        return StepInputs(inputs.arrays, tuple(rows), streamed)

    def rows_of_step(self, inputs: StepInputs) -> dict[str, RowsOfStep]:
        return self._local(inputs)

    def sample_inputs(self) -> Inputs:
        """What checks read: the inputs, with a few sample rows where rows are streamed."""
        streamed = self.graph.streamed
        if streamed is None:
            return self.batch()
        sample = {name: streamed.sample[name][None, : streamed.size] for name in streamed.inputs}
        return replace(self.batch(), block=StreamedBlock(np.uint32(0), self.place(sample)))

    def log_density(self, z: jax.Array, inputs: Batch) -> jax.Array:
        """Return ``log p`` of one point, traceable."""
        return jnp.asarray(self._log_prob(z, *inputs.values)[0], self.dtype)

    def slope_along(self, z: jax.Array, direction: jax.Array, inputs: Batch) -> jax.Array:
        """Return the derivative of log p along a direction by JAX's forward mode, traceable."""
        function = lambda z: jnp.asarray(self._plain(z, *inputs.values)[0], self.dtype)  # noqa: E731
        along: jax.Array = jax.jvp(function, (z,), (direction,))[1]
        return along

    def value_and_score(self, points: jax.Array, inputs: Batch) -> tuple[jax.Array, jax.Array]:
        if not (
            isinstance(inputs, StepInputs) and inputs.rows and isinstance(inputs.rows[0], Short)
        ):
            function = jax.value_and_grad(lambda z: self.log_density(z, inputs))
            values, scores = mapped(function, points, self._together(points, inputs))
            if len(self.layout.slots) > FEW:
                scores = jax.lax.optimization_barrier(scores)
            return values, scores
        short = inputs.rows[0]
        full = replace(inputs, rows=(short.rows,))
        last = replace(inputs, rows=(short.rows[: short.size],))
        answer: tuple[jax.Array, jax.Array] = jax.lax.cond(
            short.now,
            lambda: self.value_and_score(points, last),
            lambda: self.value_and_score(points, full),
        )
        return answer

    def _together(self, points: Any, inputs: Batch) -> int:
        """How many points are evaluated at together; all where data are few."""
        count = len(points)
        # the arrays of all rows, of which a step may take some
        data = sum(math.prod(np.shape(a)) * a.dtype.itemsize for a in inputs.arrays)
        if count == 1 or count * max(data, self.dtype.itemsize * self.dim) <= CACHE:
            return count
        values = inputs.values
        shapes = tuple(np.shape(a) for a in values)
        return self.compiled(
            ("together", shapes),
            lambda: points_together(
                lambda z, values: self._log_prob(z, *values)[0], points[0], values
            ),
        )

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        points = np.asarray(points, self.dtype)
        with precision(self.dtype):
            inputs = self.batch() if inputs is None else inputs
            function = self.compiled("log p of many", self._many)
            flat = function(points.reshape(-1, self.dim), inputs)
            return np.asarray(flat).reshape(points.shape[:-1])

    def _many(self) -> Callable[[np.ndarray, Batch], jax.Array]:
        """The compiled log density of points ``(S, D)``."""
        return jitted(
            lambda points, inputs: mapped(
                lambda z: self.log_density(z, inputs),
                points,
                min(BLOCK, self._together(points, inputs)),
            ),
            effort_for(BLOCK * entries_of(self)),
        )

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        names = self.names if names is None else names
        function = self.compiled(("constrain", names), lambda: self._constrain_function(names))
        with precision(self.dtype):
            values = function(np.asarray(points, self.dtype), self.batch().arrays)
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}

    def _constrain_function(self, names: tuple[str, ...]) -> Callable[..., Any]:
        """The compiled map from points ``(S, D)`` and shared arrays to variables."""
        outputs = [self.graph.variables[name] for name in names]
        with precision(self.dtype):
            function = jax_function([self.graph.flat, *self.graph.shared], outputs)
        return jitted(
            lambda points, arrays: mapped(lambda z: tuple(function(z, *arrays)), points, BLOCK)
        )

    def cast(self, value: Any) -> np.ndarray:
        """A value of the host in the target's precision.

        A view, without a copy: JAX 0.12 knows an array that any live code closes over by its
        identity, and would take the buffer that it made then, in whatever precision that was.
        """
        array = np.asarray(value).view()
        return (
            array.astype(self.dtype, copy=False)
            if np.issubdtype(array.dtype, np.floating)
            else array
        )
