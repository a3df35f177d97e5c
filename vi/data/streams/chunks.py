"""The chunks of a source: their rows, those without NaN, and the reader that orders them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from operator import itemgetter

import numpy as np

from vi.data.missing import drop_nan, refuse_nan
from vi.data.sources.base import Arrays, DataError, Source
from vi.data.sources.loaders import LoaderSource
from vi.data.sources.reading import check_promises, read_rows, read_rows_into
from vi.data.streams.order import Order, permuted
from vi.data.streams.readers import Reader, in_blocks, in_order, n_rows_of, resident
from vi.data.streams.windows import READERS, Piece, windows_of_chunks, windows_of_pieces

__all__ = ["Chunks"]

logger = logging.getLogger("vi")

BUFFER_BYTES, BUFFER_ROWS = 2**27, 2**21
"""The shuffle buffer by default: two windows of 64 MiB, little on any machine and enough to mix
16 chunks of 4 MiB; of at most a million rows each, for the place of a row is a number too."""

AHEAD_BYTES, AHEAD_CHUNKS = 2**24, 4
"""Chunks read ahead where rows stay in order: enough to outlast a slow reading, 16 MiB and four at
most, for they are beside every buffer; at least one."""

LARGE_CHUNK = 2**28
"""Bytes of a chunk from which on it is logged that they are large: one is then more than the whole
shuffle buffer by default, and the user's memory goes where nobody asked for it."""


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
        check_promises(source)
        self.source, self._nan = source, nan
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
    def order_key(self) -> tuple[int, int, bool, str]:
        """Rows of a chunk and of a window, whether they are permuted, what is done about NaN."""
        return self.chunk_rows, self.window_rows, self._shuffle, self._nan

    @property
    def held_rows(self) -> int:
        """Rows that are in memory at most."""
        if self._shuffle and self.source.random_access and self.window_rows == self.n_rows:
            return self.n_rows + self.chunk_rows
        chunks = READERS if self._shuffle and self.source.random_access else 1 + self.ahead
        return 2 * self.window_rows + chunks * self.chunk_rows

    def reader(self, seed: tuple[int, int], row: int) -> Reader:
        """What gives the rows from row number ``row`` of all epochs on, in the order of training.

        Parameters
        ----------
        seed : tuple of int
            Two integers from 0 to 2**32 - 1, of which the order is a function.
        row : int
            The number of the first row. A loader goes on where it is, whatever the number.
        """
        fields, permute = self.source.fields, partial(permuted, seed)
        if isinstance(self.source, LoaderSource):
            if not self._shuffle:
                return Reader(in_order(self._batches(self.source)), 0)
            pieces = self._pieces(self.source, row // self.source.n_rows)
            return Reader(windows_of_pieces(pieces, permute, self.window_rows, fields), 0)
        if self._shuffle and self.window_rows == self.n_rows:
            epoch, skip = divmod(row, self.n_rows)
            chunks = map(self._read, range(len(self._lengths)))
            return Reader(resident(chunks, permute, self.n_rows, fields, epoch), skip)
        window = max(1, self.window_rows // self.chunk_rows)
        order = Order(self._lengths, window, seed if self._shuffle else None)
        epoch, first, skip = order.find(row)
        windows = order.windows(epoch, first)
        if not self._shuffle:
            return Reader(in_order(self._ahead(windows)), skip)
        shuffled = windows_of_chunks(
            windows, self._lengths, self._read_into, permute, 2 * window, fields
        )
        return Reader(shuffled, skip)

    def once(self) -> Iterator[Arrays]:
        """All rows once, in the order of the source, as they are read."""
        if isinstance(self.source, LoaderSource):
            return self.source.once(self._clean)
        return self._ahead(iter([(0, 0, np.arange(len(self._lengths)))]))

    def some(self, rows: int, pieces: int, generator: np.random.Generator) -> Iterator[Arrays]:
        """Pieces of so many consecutive rows each, from anywhere; of a loader the first ones."""
        if isinstance(self.source, LoaderSource):
            yield from islice(in_blocks(self.once(), rows, self.source.fields), pieces)
            return
        places = -(-self.source.n_rows // rows)
        for place in np.sort(generator.choice(places, min(pieces, places), replace=False)):
            start = int(place) * rows
            stop = min(start + rows, self.source.n_rows)
            yield self._clean(read_rows(self.source, start, stop), start)

    def _ahead(self, windows: Iterator[tuple[int, int, np.ndarray]]) -> Iterator[Arrays]:
        """The chunks in their order; the next ones are read while one is distributed."""
        coming: deque[Future[Arrays]] = deque()
        with ThreadPoolExecutor(1, "vi.data.Chunks") as pool:
            for _, _, chunks in windows:
                for chunk in chunks:
                    coming.append(pool.submit(self._read, int(chunk)))
                    if len(coming) > self.ahead:
                        yield coming.popleft().result()  # no name: nothing here keeps the chunk
            while coming:
                yield coming.popleft().result()

    def _batches(self, source: LoaderSource) -> Iterator[Arrays]:
        """The batches of a loader as they come, without end."""
        return map(itemgetter(0), source.endless(self._clean))  # a loop would keep the last one

    def _pieces(self, source: LoaderSource, epoch: int) -> Iterator[Piece]:
        """The batches of a loader, cut where a window is full and where an epoch ends."""
        window, room = 0, self.window_rows
        for batch, ends in source.endless(self._clean):
            n, at = n_rows_of(batch), 0
            while at < n or (ends and not n):  # an epoch may end with an empty batch
                k = min(n - at, room)
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

    def _clean(self, arrays: Arrays, first: int) -> Arrays:
        """What the policy makes of rows with NaN; ``first`` is the number of the first row."""
        if self._nan == "drop":
            return drop_nan(arrays)
        if self._nan == "raise":
            last = first + n_rows_of(arrays) - 1
            where = f"{self.source.origin}, rows {first} to {last}"
            named = {f"{where}: field {name!r}": values for name, values in arrays.items()}
            refuse_nan(named, first=first, error=DataError)
        return arrays

    def _read(self, chunk: int) -> Arrays:
        """The rows of a chunk, arrays ``(lengths[chunk], *field.shape)``."""
        start, stop = int(self._bounds[chunk]), int(self._bounds[chunk + 1])
        arrays = self._clean(read_rows(self.source, start, stop), start)
        if n_rows_of(arrays) != self._lengths[chunk]:
            raise DataError(
                f"{self.source.origin}: rows {start} to {stop - 1} hold another number of rows "
                "without NaN than when they were counted: the data have changed. Make a new stream."
            )
        return arrays

    def _read_into(self, chunk: int, out: Arrays) -> None:
        """Read a chunk into arrays of its length."""
        if self._nan == "drop":  # its rows are fewer than are read
            for name, values in self._read(chunk).items():
                out[name][...] = values
            return
        start, stop = int(self._bounds[chunk]), int(self._bounds[chunk + 1])
        read_rows_into(self.source, start, stop, out)
        self._clean(out, start)

    def _counted(self) -> np.ndarray:
        """Rows without NaN in each chunk: one pass over all rows."""
        began, lengths = time.perf_counter(), np.zeros_like(self._lengths)
        for chunk, (start, stop) in enumerate(
            zip(self._bounds[:-1], self._bounds[1:], strict=True)
        ):
            lengths[chunk] = n_rows_of(drop_nan(read_rows(self.source, int(start), int(stop))))
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
        """Rows of a window: all if the buffer holds them, else whole chunks in half of it."""
        chunk = self.chunk_rows if self.source.random_access else 1
        if buffer_rows is None:
            buffer_rows = max(
                2 * chunk, min(BUFFER_ROWS, BUFFER_BYTES // max(1, self.source.row_bytes))
            )
        if buffer_rows >= self.n_rows:
            return self.n_rows
        if buffer_rows < 2 * chunk:
            raise ValueError(
                f"buffer_rows={buffer_rows}: {self.source.origin} is read {chunk} rows at a time; "
                "take at least twice as many, or store the data in smaller chunks (ArraySource "
                "takes chunk_rows=)."
            )
        return buffer_rows // (2 * chunk) * chunk

    def _check(self, source: Source) -> None:
        """Refuse what a source of a user's own may promise wrongly."""
        b = self._bounds
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
                "%s is read in chunks of %d rows, %.0f MB, the least that a stream holds in "
                "memory; smaller chunks (row groups) need less and mix better.",
                source.origin, source.chunk_rows, source.chunk_rows * source.row_bytes / 1e6,
            )  # fmt: skip
