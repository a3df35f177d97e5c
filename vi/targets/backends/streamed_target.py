"""The log density of all rows of a stream: each question takes one pass over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pytensor.graph.traversal import ancestors

from vi.data import DataError, Stream
from vi.data.sources.base import Arrays
from vi.data.streams.readers import n_rows_of
from vi.targets.backends.evaluation import evaluation
from vi.targets.backends.jax_target import JaxTarget
from vi.targets.backends.pytensor_target import PytensorTarget
from vi.targets.base import Batch, Inputs, StepInputs, Target

__all__ = ["Pace", "StreamedTarget"]

TOGETHER = 32
"""Points whose values, or scores, are computed together: always so many, for which code is compiled
once, whatever a pass is asked. A value for each row of a block and point is 2.5 MB, which caches
hold."""

FEW = 4
"""Points by which one is timed where each is computed by itself."""

BLOCK_ROWS, BLOCK_BYTES = 10_000, 2**25
"""Rows of a block at most, and their bytes: enough for a call to cost little beside its work."""

KEPT_BYTES = 2**26
"""Data up to this size stay in memory after the first pass: a fit of a few rows is judged by many
passes."""


@dataclass(frozen=True)
class Pace:
    """What a pass takes, as measured on one block.

    Parameters
    ----------
    blocks : int
        Blocks of a pass.
    read, value, score : float
        Seconds to read one, and to compute a value or a score of it at a point.
    """

    blocks: int
    read: float
    value: float
    score: float

    def seconds(self, values: int, scores: int = 0) -> float:
        """Seconds of a pass that is asked for so many values and scores."""
        values, scores = (-(-points // TOGETHER) * TOGETHER for points in (values, scores))
        return self.blocks * (self.read + values * self.value + scores * self.score)


class StreamedTarget(Target):
    r"""A log density whose rows do not lie in memory.

    .. math:: \log p(z) = \sum_b \frac{n_b}{N} \Big[\log p_0(z)
              + \frac{N}{n_b} \sum_{i \in b} \log p(x_i \mid z)\Big]

    over blocks b of :math:`n_b` of the N rows: what stands in brackets is the log density of a step
    on the block's rows, and what does not see rows, :math:`p_0`, counts once in all.

    Parameters
    ----------
    step : JaxTarget or PytensorTarget
        The log density of a step, on batches of any length.
    stream : Stream
        The rows.

    Raises
    ------
    DataError
        From each question: if rows cannot be read, or a loader not more than once.
    """

    traceable = False
    in_passes = True

    def __init__(self, step: JaxTarget | PytensorTarget, stream: Stream) -> None:
        self.step, self.stream = step, stream
        self.layout, self.dtype, self.backend = step.layout, step.dtype, step.backend
        streamed = step.graph.streamed
        assert streamed is not None
        marks = set(streamed.marks)
        self.names = tuple(
            name
            for name, graph in step.graph.variables.items()
            if not marks & set(ancestors([graph]))
        )
        self._fields = list(streamed.inputs)
        fixed = next(iter(streamed.inputs.values())).type.shape[0]
        row_bytes = max(1, stream.source.row_bytes)
        self.block_rows = fixed or min(stream.n_rows, BLOCK_ROWS, max(1, BLOCK_BYTES // row_bytes))
        self._small = stream.n_rows * row_bytes <= KEPT_BYTES
        self._in_memory: list[Arrays] | None = None

    def batch(self) -> Inputs:
        return self.step.batch()

    def stale(self) -> tuple[str, ...]:
        return self.step.stale()

    def in_one_pass(self, points: np.ndarray, scored: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Log p at points ``(S, D)``, and scores ``(scored, D)`` at the first of them."""
        values, scores, seen = np.zeros(len(points)), np.zeros((scored, self.dim)), 0
        for rows, inputs in self._inputs(self._blocks()):
            share, seen = rows / self.stream.n_rows, seen + rows
            values += share * self._values(points, inputs)
            if scored:
                scores += share * self._scores(points[:scored], inputs)[1]
        if seen != self.stream.n_rows:
            raise DataError(
                f"{self.stream.source.origin}: a pass came to {seen} rows, and the fit to "
                f"{self.stream.n_rows}: the data have changed. Fit anew."
            )
        return values, scores

    def on_some_rows(
        self, points: np.ndarray, rows: int, pieces: int, generator: np.random.Generator
    ) -> tuple[int, np.ndarray, np.ndarray]:
        """What pieces of the rows alone say of log p ``(pieces, S)`` and its score ``(.., S, D)``.

        Each is scaled to all rows. First comes how many rows there were.
        """
        found, seen = [], 0
        for n, inputs in self._inputs(self.stream.some(rows, pieces, generator)):
            found.append((self._values(points, inputs), self._scores(points, inputs)[1]))
            seen += n
        values, scores = zip(*found, strict=True)
        return seen, np.stack(values), np.stack(scores)

    def pace(self) -> Pace:
        """What a pass takes: measured once, on a block or two."""
        return self.compiled("pace", self._measured)

    def value_and_score(self, points: np.ndarray, inputs: Batch) -> tuple[np.ndarray, np.ndarray]:
        points = np.asarray(points)
        return self.in_one_pass(points, len(points))

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        flat = np.asarray(points, self.dtype).reshape(-1, self.dim)
        return self.in_one_pass(flat)[0].reshape(np.shape(points)[:-1])

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        return self.step.constrain(points, self.names if names is None else names)

    def _blocks(self) -> Iterator[Arrays]:
        """All rows, block by block; few of them are read once."""
        if self._in_memory is not None:
            yield from self._in_memory
            return
        held: list[Arrays] = []
        for block in self.stream.once(self.block_rows):
            if self._small:
                held.append(block)
            yield block
        self._in_memory = held if self._small else None

    def _inputs(self, blocks: Iterable[Arrays]) -> Iterator[tuple[int, StepInputs]]:
        """The rows of each block, and what a log density of them reads."""
        arrays = self.step.batch().arrays
        for block in blocks:
            if n_rows_of(block):
                placed = self.step.place({name: block[name] for name in self._fields})
                yield n_rows_of(block), StepInputs(arrays, (), tuple(placed.values()))

    def _values(self, points: np.ndarray, inputs: StepInputs) -> np.ndarray:
        """Log p of a block ``(S,)``."""
        found = []
        for first in range(0, len(points), TOGETHER):
            part = points[first : first + TOGETHER]
            if self.step.traceable:  # compiled for one number of points
                part = np.concatenate([part, part[-1:].repeat(TOGETHER - len(part), axis=0)])
            found.append(self.step.log_prob(part, inputs).astype(np.float64))
        return np.concatenate(found)[: len(points)] if found else np.zeros(0)

    def _scores(self, points: np.ndarray, inputs: StepInputs) -> tuple[np.ndarray, np.ndarray]:
        """Log p and scores of a block, ``(S,)`` and ``(S, D)``."""
        return evaluation(self.step, TOGETHER if self.step.traceable else None, inputs)(points)

    def _measured(self) -> Pace:
        blocks, began = self._blocks(), time.perf_counter()
        first, read = next(blocks), time.perf_counter() - began
        began = time.perf_counter()
        if next(blocks, None) is not None:  # the first may have opened files
            read = min(read, time.perf_counter() - began)
        del blocks
        ((_, inputs),) = self._inputs([first])
        point, costs = np.zeros((1, self.dim), self.dtype), []
        for evaluate in (self._values, self._scores):
            points = point.repeat(TOGETHER if self.step.traceable else FEW, axis=0)
            evaluate(points, inputs)  # compiles
            costs.append(min(_seconds(evaluate, points, inputs) for _ in range(3)) / len(points))
        count = -(-self.stream.n_rows // self.block_rows)
        return Pace(count, 0.0 if self._small else read, *costs)


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began
