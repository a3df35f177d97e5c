"""Shuffled windows of chunks that are read straight into their places, while the rows of the
window before are used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from vi.data.sources.base import Arrays, Field
from vi.data.streams.readers import Piece, Reader, RowsOf, empty, gather

__all__ = ["READERS", "Windowed", "Windows"]

READERS = 2
"""Threads: while one waits for the disk, the other looks for NaN or permutes."""


class _Coming(NamedTuple):
    """A window that is being read: the places of its chunks, what is read there, and the order
    of its rows.
    """

    places: list[int]
    readings: list[Future[None]]
    order: Future[np.ndarray]


class Windows(Reader):
    """The rows of a window in a random order, then those of the next.

    Memory is one array a field, divided into places for a chunk each, twice as many as a window has
    chunks. While a window is used, the next is read into the other places.

    Parameters
    ----------
    windows : iterator of (int, int, numpy.ndarray)
        Epoch, window and its chunks, without end.
    lengths : numpy.ndarray
        Rows of each chunk.
    read : callable
        Reads a chunk, by number, into arrays of its length.
    permuted : callable
        The order of a window, from epoch, window and the row numbers to permute.
    places : int
        Chunks that have a place in memory: those of two windows.
    fields : mapping of str to Field
        What a row holds.
    skip : int
        Rows of the first window to leave out.
    """

    def __init__(
        self,
        windows: Iterator[tuple[int, int, np.ndarray]],
        lengths: np.ndarray,
        read: Callable[[int, Arrays], None],
        permuted: Callable[[int, int, np.ndarray], np.ndarray],
        places: int,
        fields: Mapping[str, Field],
        skip: int,
    ) -> None:
        self._windows, self._lengths, self._read, self._permuted = windows, lengths, read, permuted
        self._size = int(lengths.max())
        self._rows = empty(places * self._size, fields)
        self._free = deque(range(places))
        self._coming: deque[_Coming] = deque()
        self._waiting: tuple[int, int, np.ndarray] | None = None
        self._used: list[int] = []
        self._order, self._at = np.empty(0, np.intp), 0
        self._pool = ThreadPoolExecutor(READERS, "vi.data.Windows")
        self._turn()
        self._at = skip

    def fill(self, out: Arrays) -> None:
        done, n = 0, len(next(iter(out.values())))
        while done < n:
            if self._at == len(self._order):
                self._turn()
                continue
            k = min(n - done, len(self._order) - self._at)
            gather(self._rows, self._order[self._at : self._at + k], out, done)
            done, self._at = done + k, self._at + k

    def _turn(self) -> None:
        """Go over to the next window, once it is there."""
        self._free.extend(self._used)
        self._begin()
        self._used, readings, order = self._coming.popleft()
        for reading in readings:
            reading.result()
        self._order, self._at = order.result(), 0

    def _begin(self) -> None:
        """Begin to read windows while there are places for all of their chunks."""
        while True:
            epoch, window, chunks = self._waiting or next(self._windows)
            self._waiting = epoch, window, chunks
            if len(chunks) > len(self._free):
                return
            self._waiting = None
            places = [self._free.popleft() for _ in chunks]
            rows = [
                slice(p * self._size, p * self._size + self._lengths[c])
                for p, c in zip(places, chunks, strict=True)
            ]
            readings = [
                self._pool.submit(
                    self._read,
                    int(chunk),
                    {name: values[own] for name, values in self._rows.items()},
                )
                for chunk, own in zip(chunks, rows, strict=True)
            ]
            numbers = np.concatenate([np.arange(own.start, own.stop) for own in rows])
            self._coming.append(
                _Coming(places, readings, self._pool.submit(self._permuted, epoch, window, numbers))
            )


class Windowed(Reader):
    """The rows of a window in the order that ``rows_of`` says, then those of the next, where rows
    come as they come.

    There are two windows: one is used while the next is read, piece by piece as the first is used
    up. At no time are there more rows than twice ``capacity``, beside the piece that waits for its
    place.

    Parameters
    ----------
    pieces : iterator of Piece
        Without end.
    rows_of : callable
        The order of a window's rows.
    capacity : int
        Rows of the longest window.
    fields : mapping of str to Field
        What a row holds.
    skip : int
        Rows of the first window to leave out.
    """

    def __init__(
        self,
        pieces: Iterator[Piece],
        rows_of: RowsOf,
        capacity: int,
        fields: Mapping[str, Field],
        skip: int,
    ) -> None:
        self._pieces, self._rows_of, self._capacity = pieces, rows_of, capacity
        self._used, self._next = empty(capacity, fields), empty(capacity, fields)
        self._order = np.empty(0, np.intp)
        self._at = 0  # rows of the window in use that were handed out
        self._read = 0  # rows of the next window that are there
        self._complete: tuple[int, int] | None = None
        self._turn()
        self._at = skip

    def fill(self, out: Arrays) -> None:
        done, n = 0, len(next(iter(out.values())))
        while done < n:
            if self._at == len(self._order):
                self._turn()
                continue
            k = min(n - done, len(self._order) - self._at)
            gather(self._used, self._order[self._at : self._at + k], out, done)
            done, self._at = done + k, self._at + k
            self._read_until(self._capacity * self._at // len(self._order))

    def _turn(self) -> None:
        """Go over to the next window."""
        self._read_until(self._capacity)
        assert self._complete is not None, "a window has more rows than the capacity"
        self._used, self._next = self._next, self._used
        self._order = self._rows_of(*self._complete, self._read)
        self._at, self._read, self._complete = 0, 0, None

    def _read_until(self, rows: int) -> None:
        """Read pieces of the next window until it has so many rows or is complete: as quickly as
        the first is used.
        """
        while self._complete is None and self._read < rows:
            self._put(next(self._pieces))

    def _put(self, piece: Piece) -> None:
        for name, values in self._next.items():
            values[self._read : self._read + piece.rows] = piece.arrays[name]
        self._read += piece.rows
        if piece.last:
            self._complete = piece.epoch, piece.window
