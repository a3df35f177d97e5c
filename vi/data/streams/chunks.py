"""The chunks of a source: their rows, what is left of them without NaN, and the reader that
orders them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np

from vi.data.missing import without_nan
from vi.data.sources.base import Arrays, DataError, Source, check_rows
from vi.data.sources.loaders import LoaderSource
from vi.data.streams.order import Order, permuted, rows_of_window
from vi.data.streams.readers import InOrder, Piece, Reader, Resident, RowsOf
from vi.data.streams.windows import READERS, Windowed, Windows

__all__ = ["Chunks"]

logger = logging.getLogger("vi")

BUFFER_BYTES, BUFFER_ROWS = 2**27, 2**21
"""The shuffle buffer by default: two windows of 64 MiB, and of at most a million rows, for each
needs a number too.
"""

AHEAD_BYTES, AHEAD_CHUNKS = 2**24, 4
"""Chunks that are read ahead where rows stay in order: 16 MiB and at most four; at least one."""

LARGE_CHUNK = 2**28
"""Bytes of a chunk from which on it is said that they are large."""


class Chunks:
    """The chunks of a source and the size of a window.

    Parameters
    ----------
    source : Source
        The rows.
    shuffle : bool
        Whether they are permuted.
    buffer_rows : int or None
        Rows of the shuffle buffer: all, or a window and the next one.
    nan : str
        What is done about rows with NaN.
    """

    def __init__(self, source: Source, *, shuffle: bool, buffer_rows: int | None, nan: str) -> None:
        self.source, self._nan = source, nan
        self._lock = threading.Lock()
        self.n_rows, self.chunk_rows = source.n_rows, source.chunk_rows
        self.ahead = max(
            1, min(AHEAD_CHUNKS, AHEAD_BYTES // max(1, source.chunk_rows * source.row_bytes))
        )
        if source.random_access:
            starts = np.arange(0, source.n_rows, source.chunk_rows)
            self._bounds = (
                np.append(starts, source.n_rows)
                if source.bounds is None
                else np.asarray(source.bounds)
            )
            self._lengths = np.diff(self._bounds)
            self._check(source)
            if nan == "drop":
                self._lengths = self._counted()
            self.n_rows = int(self._lengths.sum())
        self._shuffle = shuffle and (source.random_access or buffer_rows is not None)
        self.window_rows = self._window_rows(buffer_rows) if self._shuffle else 0

    @property
    def held_rows(self) -> int:
        """Rows that are in memory at most."""
        if self._shuffle and self.source.random_access and self.window_rows == self.n_rows:
            return self.n_rows + self.chunk_rows
        chunks = READERS if self._shuffle and self.source.random_access else 1 + self.ahead
        return 2 * self.window_rows + chunks * self.chunk_rows

    def reader(self, seed: tuple[int, int], row: int) -> Reader:
        """What gives the rows from a row on, in the order of all epochs."""
        fields = self.source.fields

        def rows_of(epoch: int, window: int, n: int) -> np.ndarray:
            return rows_of_window(seed, epoch, window, n)

        if isinstance(self.source, LoaderSource):
            pieces = self._loaded(self.source, row)
            return (
                Windowed(pieces, rows_of, self.window_rows, fields, 0)
                if self._shuffle
                else InOrder(pieces, 0)
            )
        if self._shuffle and self.window_rows == self.n_rows:
            return self._resident(rows_of, row)
        window = max(1, self.window_rows // self.chunk_rows)
        order = Order(self._lengths, window, seed if self._shuffle else None)
        epoch, first, skip = order.find(row)
        if not self._shuffle:
            return InOrder(self._ordered(order, epoch, first), skip)
        shuffled = partial(permuted, seed)
        return Windows(
            order.windows(epoch, first),
            self._lengths,
            self._read_into,
            shuffled,
            2 * window,
            fields,
            skip,
        )

    def _resident(self, rows_of: RowsOf, row: int) -> Resident:
        every = (Piece(self._read(c), 0, 0, last=False) for c in range(len(self._lengths)))
        return Resident(every, rows_of, self.n_rows, self.source.fields, row)

    def _ordered(self, order: Order, epoch: int, window: int) -> Iterator[Piece]:
        """The chunks in their order; the next ones are read while one is distributed."""
        coming: deque[tuple[Future[Arrays], int, int, bool]] = deque()
        with ThreadPoolExecutor(1, "vi.data.Chunks") as pool:
            for e, w, chunks in order.windows(epoch, window):
                for k, chunk in enumerate(chunks):
                    coming.append((pool.submit(self._read, int(chunk)), e, w, k == len(chunks) - 1))
                    if (
                        len(coming) > self.ahead
                    ):  # a function of its own, which does not keep what was read
                        yield _piece(*coming.popleft())

    def _loaded(self, source: LoaderSource, row: int) -> Iterator[Piece]:
        """The batches of a loader; for a shuffle buffer, cut where one is full and where an
        epoch ends.
        """

        def clean(batch: Arrays, first: int) -> Arrays:
            return without_nan(batch, first, self._nan, source.origin)

        epoch, window, room = row // source.n_rows, 0, self.window_rows
        for batch, ends in source.endless(clean):
            n, at = len(next(iter(batch.values()))), 0
            while at < n or (ends and not n):
                k = min(n - at, room) if self._shuffle else n
                part = {name: values[at : at + k] for name, values in batch.items()}
                at, room = at + k, room - k
                last = room == 0 or (ends and at == n)
                yield Piece(part, epoch, window, last)
                if last:
                    window, room = window + 1, self.window_rows
                if not n:
                    break
            if ends:
                epoch, window = epoch + 1, 0

    def _read(self, chunk: int) -> Arrays:
        start, stop = int(self._bounds[chunk]), int(self._bounds[chunk + 1])
        with nullcontext() if self.source.concurrent else self._lock:
            arrays = self.source.take(slice(start, stop))
        check_rows(arrays, self.source.fields, stop - start, self.source.origin)
        arrays = without_nan(arrays, start, self._nan, self.source.origin)
        if len(next(iter(arrays.values()))) != self._lengths[chunk]:
            raise DataError(
                f"{self.source.origin}: rows {start} to {stop - 1} hold another number of rows without NaN than when "
                "they were counted: the data have changed. Make a new stream."
            )
        return arrays

    def _read_into(self, chunk: int, out: Arrays) -> None:
        """Read a chunk into arrays of its length."""
        start, stop = int(self._bounds[chunk]), int(self._bounds[chunk + 1])
        if self.source.reads_into and self._nan != "drop":
            self.source.take_into(start, stop, out)
            without_nan(out, start, self._nan, self.source.origin)
        else:
            for name, values in self._read(chunk).items():
                out[name][...] = values

    def _counted(self) -> np.ndarray:
        """Rows without NaN in each chunk: one pass over all rows."""
        began, lengths = time.perf_counter(), np.zeros_like(self._lengths)
        for chunk, (start, stop) in enumerate(
            zip(self._bounds[:-1], self._bounds[1:], strict=True)
        ):
            arrays = self.source.take(slice(int(start), int(stop)))
            kept = without_nan(arrays, int(start), "drop", self.source.origin)
            lengths[chunk] = len(next(iter(kept.values())))
        seconds = time.perf_counter() - began
        logger.info(
            "%s: %d of %d rows are without NaN (counted in %.1f s); the others are left out.",
            self.source.origin, lengths.sum(), self.source.n_rows, seconds,
        )  # fmt: skip
        if not lengths.sum():
            raise DataError(
                f"{self.source.origin}: every row holds a NaN; with nan='drop' none is left."
            )
        return lengths

    def _window_rows(self, buffer_rows: int | None) -> int:
        """Rows of a window: all of them if the buffer holds them, otherwise whole chunks in half
        of the buffer.
        """
        chunk = self.chunk_rows if self.source.random_access else 1
        if buffer_rows is None:
            buffer_rows = max(
                2 * chunk, min(BUFFER_ROWS, BUFFER_BYTES // max(1, self.source.row_bytes))
            )
        if buffer_rows >= self.n_rows:
            return self.n_rows
        if buffer_rows < 2 * chunk:
            raise ValueError(
                f"buffer_rows={buffer_rows}: {self.source.origin} is read {chunk} rows at a time; take at least twice "
                "as many, or store the data in smaller chunks (ArraySource takes chunk_rows=)."
            )
        return buffer_rows // (2 * chunk) * chunk

    def _check(self, source: Source) -> None:
        b = self._bounds
        if source.n_rows < 1 or source.chunk_rows < 1 or not source.fields:
            raise DataError(
                f"{source.origin}: n_rows={source.n_rows}, chunk_rows={source.chunk_rows} and fields="
                f"{sorted(source.fields)}; there must be a row, a row in a chunk and a field."
            )
        if (
            b[0] != 0
            or b[-1] != source.n_rows
            or (self._lengths < 0).any()
            or self._lengths.max() > source.chunk_rows
        ):
            raise DataError(
                f"{source.origin}: bounds must rise from 0 to n_rows={source.n_rows} by at most "
                f"chunk_rows={source.chunk_rows}, got {b}."
            )
        if source.chunk_rows * source.row_bytes >= LARGE_CHUNK:
            logger.info(
                "%s is read in chunks of %d rows, %.0f MB, the least that a stream holds in memory; smaller chunks "
                "(row groups) need less and mix better.",
                source.origin, source.chunk_rows, source.chunk_rows * source.row_bytes / 1e6,
            )  # fmt: skip


def _piece(future: Future[Arrays], epoch: int, window: int, last: bool) -> Piece:
    return Piece(future.result(), epoch, window, last)
