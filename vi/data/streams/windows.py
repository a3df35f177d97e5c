"""Shuffled windows with bounded memory: one is in use while the next is read into other places."""

# Chunks, whose lengths are known, get their places before they are read, by several threads; the
# batches of a loader are put one after the other, as they come. What is handed out is the same:
# arrays in memory, and the places of a window's rows in their order.

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import cycle
from typing import NamedTuple

import numpy as np

from vi.data.sources.base import Arrays, Field
from vi.data.streams.readers import Permute, Window, empty, n_rows_of

__all__ = ["READERS", "Piece", "windows_of_chunks", "windows_of_pieces"]

READERS = 2
"""Threads: while one waits for the disk, the other looks for NaN or permutes."""


class _Coming(NamedTuple):
    """A window of chunks that is being read.

    ``slots`` are its chunks' places in memory, ``readings`` what is read there, ``places`` (shape
    ``(rows of the window,)``) where its rows will lie, in order.
    """

    slots: list[int]
    readings: list[Future[None]]
    places: Future[np.ndarray]


def windows_of_chunks(
    windows: Iterator[tuple[int, int, np.ndarray]],
    lengths: np.ndarray,
    read: Callable[[int, Arrays], None],
    permute: Permute,
    slots: int,
    fields: Mapping[str, Field],
) -> Iterator[Window]:
    """Windows of chunks, which are read straight into their places.

    Memory is one array a field, divided into slots for a chunk each, twice as many as a window has
    chunks. While a window is used, the next is read into the other slots.

    Parameters
    ----------
    windows : iterator of (int, int, numpy.ndarray)
        Epoch, window and its chunks, without end.
    lengths : numpy.ndarray
        Rows of each chunk, shape ``(chunks,)``.
    read : callable
        Reads a chunk, by number, into arrays of its length; is called from several threads.
    permute : callable
        The order of a window.
    slots : int
        Chunks that have a place in memory: those of two windows.
    fields : mapping of str to Field
        What a row holds.
    """
    size = int(lengths.max())
    rows = empty(slots * size, fields)
    free, coming = deque(range(slots)), deque[_Coming]()
    executor = ThreadPoolExecutor(READERS, "vi.data.windows")
    epoch, window, chunks = next(windows)
    while True:
        while len(chunks) <= len(free):  # room for all chunks of one window more
            slots_of = [free.popleft() for _ in chunks]
            parts = [
                slice(slot * size, slot * size + int(lengths[chunk]))
                for slot, chunk in zip(slots_of, chunks, strict=True)
            ]
            readings = [
                executor.submit(read, int(chunk), {k: values[part] for k, values in rows.items()})
                for chunk, part in zip(chunks, parts, strict=True)
            ]
            places = np.concatenate([np.arange(part.start, part.stop) for part in parts])
            order = executor.submit(permute, epoch, window, places)
            coming.append(_Coming(slots_of, readings, order))
            epoch, window, chunks = next(windows)
        ready = coming.popleft()
        for reading in ready.readings:
            reading.result()
        yield Window(rows, ready.places.result())
        free.extend(ready.slots)


class Piece(NamedTuple):
    """Rows of a loader that came together and belong to one window.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        Arrays ``(n, *field.shape)``.
    epoch, window : int
        Where they belong.
    last : bool
        Whether the window is complete with them.
    """

    arrays: Arrays
    epoch: int
    window: int
    last: bool


class _Filling:
    """A window of pieces that is being read, into arrays ``(capacity, *field.shape)``."""

    def __init__(self, rows: Arrays, pieces: Iterator[Piece]) -> None:
        self.rows, self._pieces = rows, pieces
        self.n_rows = 0
        self.complete: tuple[int, int] | None = None  # epoch and window, once all rows are there

    def read_until(self, n_rows: int) -> None:
        """Read pieces until there are so many rows, or the window is complete."""
        while self.complete is None and self.n_rows < n_rows:
            piece = next(self._pieces)
            n = n_rows_of(piece.arrays)
            for name, values in self.rows.items():
                values[self.n_rows : self.n_rows + n] = piece.arrays[name]
            self.n_rows += n
            if piece.last:
                self.complete = piece.epoch, piece.window

    def keep_up(self, capacity: int, length: int, used: int) -> None:
        """Read as quickly as the window before, of ``length`` rows, is used."""
        self.read_until(capacity * used // length)


def windows_of_pieces(
    pieces: Iterator[Piece], permute: Permute, capacity: int, fields: Mapping[str, Field]
) -> Iterator[Window]:
    """Windows of rows that come as they come.

    There are two windows: one is used while the next is read, piece by piece as the first is used
    up. At no time are there more rows than twice ``capacity``, beside the piece that waits for its
    place.

    Parameters
    ----------
    pieces : iterator of Piece
        Without end.
    permute : callable
        The order of a window.
    capacity : int
        Rows of the longest window.
    fields : mapping of str to Field
        What a row holds.
    """
    memory = cycle([empty(capacity, fields), empty(capacity, fields)])
    filling = _Filling(next(memory), pieces)
    while True:
        filling.read_until(capacity)
        assert filling.complete is not None, "a window has more rows than the capacity"
        places = permute(*filling.complete, np.arange(filling.n_rows))
        following = _Filling(next(memory), pieces)
        yield Window(filling.rows, places, partial(following.keep_up, capacity, len(places)))
        filling = following
