"""A model's log density evaluated by JAX: it traces into the compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.data.minibatches.batch_tensors import is_row_data
from vi.data.minibatches.row_numbers import short_steps
from vi.foundation.batching import batched
from vi.foundation.precision import called_afresh, precision
from vi.foundation.tracing_errors import what_tracing_met
from vi.graphs.to_jax import ConversionError, WrongGradientError, jax_function
from vi.targets.base import Batch, Counts, Seen, StepArrays, Target
from vi.targets.batches.local_rows import LocalRows
from vi.targets.batches.row_numbers import draw_rows, lengths_function
from vi.targets.model.graph import ModelGraph

__all__ = ["JaxTarget"]


@partial(jax.tree_util.register_dataclass, data_fields=("rows", "now"), meta_fields=("size",))
@dataclass(frozen=True)
class Short:
    """Row numbers of a batch that is shorter where ``now`` is true: its first ``size`` ones."""

    rows: jax.Array
    now: jax.Array
    size: int


BLOCK = 256
"""Points per vectorised call when variables are computed for many draws."""

CHECKED_POINTS = 8


class JaxTarget(Target):
    """A model's graph converted to JAX.

    Parameters
    ----------
    graph : ModelGraph
        The model's graphs.
    dtype : numpy.dtype
        Precision.

    Raises
    ------
    ConversionError
        If the graph cannot run in JAX, or runs with a wrong gradient; the message says why.
    """

    backend = "jax"
    traceable = True

    def __init__(self, graph: ModelGraph, dtype: np.dtype) -> None:
        self.graph = graph
        self.layout = graph.layout
        self.names = tuple(graph.variables)
        self.dtype = dtype
        with precision(dtype):  # constants become JAX arrays here
            self._log_prob = jax_function(graph.inputs, [graph.log_prob])
            self._local = LocalRows(graph, lambda outputs: jax_function(graph.inputs[1:], outputs))
        self.has_local = bool(graph.local)
        self._lengths = lengths_function(graph.rows)
        self.kept: dict[Any, tuple[Any, jax.Array]] = {}
        self._constrain: dict[tuple[str, ...], Callable[..., Any]] = {}
        self._many = jax.jit(
            lambda points, batch: jax.lax.map(
                lambda z: self.log_density(z, batch), points, batch_size=BLOCK
            )
        )
        self._one = jax.jit(self.value_and_score)

    def batch(self) -> Batch:
        return self.batch_on(jax.device_put, self.kept)

    def batch_on(
        self, put: Callable[[np.ndarray], jax.Array], kept: dict[Any, tuple[Any, jax.Array]]
    ) -> Batch:
        """The batch, its arrays where ``put`` places them; data of minibatches, which may be
        large, are moved once.
        """
        arrays = []
        with precision(self.dtype):
            for shared in self.graph.shared:
                value = shared.get_value(borrow=True)
                if not is_row_data(shared):
                    arrays.append(put(self.cast(value)))
                    continue
                if shared not in kept or kept[shared][0] is not value:
                    kept[shared] = (value, put(self.cast(value)))
                arrays.append(kept[shared][1])
        return (*arrays, self.counts()) if self.graph.rows else tuple(arrays)

    def counts(self) -> Counts:
        """Rows in all, for each minibatch."""
        return Counts(tuple(int(n) for n in self._lengths()))

    def place(self, arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """Streamed arrays on the device, in the target's precision."""
        with precision(self.dtype):
            return {name: jax.device_put(self.cast(array)) for name, array in arrays.items()}

    def at_step(self, batch: Batch, words: Any, step: Any) -> Batch:
        shared, rest = batch[: len(self.graph.shared)], list(batch[len(self.graph.shared) :])
        rows: list[Any] = []
        if self.graph.rows:
            counts = rest.pop(0).values
            rows += draw_rows(self.graph.rows, counts, words, step, jnp)
            sampling = self.graph.rows[0].sampling
            if sampling.short_last:
                rows[0] = Short(
                    rows[0], short_steps(step, counts[0], sampling), sampling.last_size(counts[0])
                )
        if self.graph.fed is not None:
            block: StepArrays = rest.pop(0)
            rows += [block.arrays[name][step - block.first] for name in self.graph.fed.inputs]
        return (*shared, *rows)

    def local(self, now: Batch) -> dict[str, Seen]:
        return self._local(now)

    def first_batch(self) -> Batch:
        """What checks read: the batch, with a few sample rows where they are streamed."""
        fed = self.graph.fed
        if fed is None:
            return self.batch()
        sample = {name: fed.sample[name][None, : fed.size] for name in fed.inputs}
        return (*self.batch(), StepArrays(np.uint32(0), self.place(sample)))

    def log_density(self, z: jax.Array, batch: Batch) -> jax.Array:
        """Return ``log p`` of one point, traceable."""
        return jnp.asarray(self._log_prob(z, *batch)[0], self.dtype)

    def value_and_score(self, points: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
        short = next((item for item in batch if isinstance(item, Short)), None)
        if short is None:
            return batched(jax.value_and_grad(lambda z: self.log_density(z, batch)), points)
        full, last = (
            tuple(rows if item is short else item for item in batch)
            for rows in (short.rows, short.rows[: short.size])
        )
        answer: tuple[jax.Array, jax.Array] = jax.lax.cond(
            short.now,
            lambda: self.value_and_score(points, last),
            lambda: self.value_and_score(points, full),
        )
        return answer

    def log_prob(self, points: np.ndarray, batch: Batch | None = None) -> np.ndarray:
        points = np.asarray(points, self.dtype)
        with precision(self.dtype):
            flat = called_afresh(
                self._many, points.reshape(-1, self.dim), self.batch() if batch is None else batch
            )
            return np.asarray(flat).reshape(points.shape[:-1])

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        names = self.names if names is None else names
        if names not in self._constrain:
            outputs = [self.graph.variables[name] for name in names]
            with precision(self.dtype):
                function = jax_function([self.graph.flat, *self.graph.shared], outputs)
            self._constrain[names] = jax.jit(
                lambda points, batch: jax.lax.map(
                    lambda z: tuple(function(z, *batch)), points, batch_size=BLOCK
                )
            )
        with precision(self.dtype):
            values = called_afresh(
                self._constrain[names], np.asarray(points, self.dtype), self.batch()
            )
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}

    def check(self, start: np.ndarray) -> None:
        """Trace the score, then compare it, as compiled, with forward mode at points near
        ``start``.

        Raises
        ------
        ConversionError
            If tracing fails, or reverse mode contradicts forward mode.
        """
        with precision(self.dtype):
            batch = self.at_step(self.first_batch(), np.zeros(2, np.uint32), np.uint32(0))
            batch = tuple(item.rows if isinstance(item, Short) else item for item in batch)
            start = np.asarray(start, self.dtype)
            try:
                jax.eval_shape(self.value_and_score, start[None], batch)
            except Exception as error:
                raise ConversionError(
                    f"tracing in JAX failed: {what_tracing_met(error)}"
                ) from error
            self._look_for_lost_gradients(start, batch)
            self._compare_with_forward_mode(start, batch)

    def _look_for_lost_gradients(self, start: np.ndarray, batch: Batch) -> None:
        """Reverse mode through a ``where`` is NaN where the branch not taken overflows, though
        log p is finite.
        """
        generator = np.random.default_rng(1)
        for _ in range(CHECKED_POINTS):
            point = (start + generator.standard_normal(start.shape)).astype(self.dtype)
            value, score = (np.asarray(a)[0] for a in called_afresh(self._one, point[None], batch))
            bad = np.flatnonzero(~np.isfinite(score))
            if np.isfinite(value) and bad.size:
                raise WrongGradientError(
                    f"JAX's gradient in {self.layout.describe(bad)} is not finite at a point where log p is "
                    f"{float(value):.6g}"
                )

    def _compare_with_forward_mode(self, start: np.ndarray, batch: Batch) -> None:
        forward = jax.jit(lambda z, v: jax.jvp(lambda x: self.log_density(x, batch), (z,), (v,))[1])
        generator = np.random.default_rng(0)
        tolerance = 1e-5 if self.dtype == np.float64 else 3e-2
        for _ in range(CHECKED_POINTS):
            point = (start + 0.1 * generator.standard_normal(start.shape)).astype(self.dtype)
            direction = generator.standard_normal(start.shape).astype(self.dtype)
            value, score = (np.asarray(a)[0] for a in self._one(point[None], batch))
            if not np.isfinite(value):
                continue
            try:
                expected = float(forward(point, direction))
            except (NotImplementedError, TypeError, ValueError):
                return  # no forward mode for an operation of the model (a custom_vjp, say): nothing to compare with
            terms = np.abs(score * direction)
            if not abs(float(score @ direction) - expected) <= tolerance * (
                float(terms.sum()) + 1.0
            ):
                worst = self.layout.describe(np.argsort(-terms)[:3])
                raise WrongGradientError(
                    "JAX's reverse-mode gradient contradicts its forward mode "
                    f"({float(score @ direction):.6g} against {expected:.6g}; largest terms: {worst})"
                )

    def cast(self, value: Any) -> np.ndarray:
        """A value of the host in the target's precision."""
        array = np.asarray(value)
        return (
            array.astype(self.dtype, copy=False)
            if np.issubdtype(array.dtype, np.floating)
            else array
        )
