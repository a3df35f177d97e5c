"""Rows in the order of training, filled into arrays of any length: in order, through a window, or all in memory."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from vi.data.base import Arrays, Field

__all__ = ["InOrder", "Piece", "Reader", "Resident", "Windowed", "empty", "gather"]

type RowsOf = Callable[[int, int, int], np.ndarray]
"""The order of a window's rows, from epoch, window and the number of its rows."""


class Piece(NamedTuple):
    """Rows that were read together.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        Arrays ``(rows, ...)``.
    epoch, window : int
        Where they belong.
    last : bool
        Whether the window is complete with them.
    """

    arrays: Arrays
    epoch: int
    window: int
    last: bool

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.arrays.values())))


class Reader(abc.ABC):
    """Gives the rows of a run, each once, in the order of training."""

    @abc.abstractmethod
    def fill(self, out: Arrays) -> None:
        """Put the next rows into arrays ``(rows, ...)``, all of them."""


class InOrder(Reader):
    """The rows of the pieces as they come.

    Parameters
    ----------
    pieces : iterator of Piece
        Without end.
    skip : int
        Rows of the first pieces to leave out.
    """

    def __init__(self, pieces: Iterator[Piece], skip: int) -> None:
        self._pieces = pieces
        self._piece: Piece | None = None
        self._at = skip

    def fill(self, out: Arrays) -> None:
        done, n = 0, len(next(iter(out.values())))
        while done < n:
            if self._piece is None:
                self._piece = next(self._pieces)
            if self._at >= self._piece.rows:
                self._at -= self._piece.rows
                self._piece = None  # before the next is read: one is in memory, not two
                continue
            k = min(n - done, self._piece.rows - self._at)
            for name, values in out.items():
                values[done : done + k] = self._piece.arrays[name][self._at : self._at + k]
            done, self._at = done + k, self._at + k


class Resident(Reader):
    """All rows in memory, read once: a window that holds a whole epoch.

    Parameters
    ----------
    pieces : iterator of Piece
        Of one epoch, in the order of the source.
    rows_of : callable
        The order of an epoch's rows.
    n_rows : int
        Rows in all.
    fields : mapping of str to Field
        What a row holds.
    row : int
        The row to begin with, in the order of all epochs.
    """

    def __init__(
        self, pieces: Iterator[Piece], rows_of: RowsOf, n_rows: int, fields: Mapping[str, Field], row: int
    ) -> None:
        self._all = empty(n_rows, fields)
        self._rows_of, self._n = rows_of, n_rows
        self._epoch, self._at = divmod(row, n_rows)
        self._order = rows_of(self._epoch, 0, n_rows)
        done = 0
        for piece in pieces:
            for name, values in self._all.items():
                values[done : done + piece.rows] = piece.arrays[name]
            done += piece.rows

    def fill(self, out: Arrays) -> None:
        done, n = 0, len(next(iter(out.values())))
        while done < n:
            if self._at == self._n:
                self._epoch, self._at = self._epoch + 1, 0
                self._order = self._rows_of(self._epoch, 0, self._n)
            k = min(n - done, self._n - self._at)
            gather(self._all, self._order[self._at : self._at + k], out, done)
            done, self._at = done + k, self._at + k


class Windowed(Reader):
    """The rows of a window in the order that ``rows_of`` says, then those of the next, where rows come as they come.

    There are two windows: one is used while the next is read, piece by piece as the first is used up. At no time are
    there more rows than twice ``capacity``, beside the piece that waits for its place.

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
        self, pieces: Iterator[Piece], rows_of: RowsOf, capacity: int, fields: Mapping[str, Field], skip: int
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
        """Read pieces of the next window until it has so many rows or is complete: as quickly as the first is used."""
        while self._complete is None and self._read < rows:
            self._put(next(self._pieces))

    def _put(self, piece: Piece) -> None:
        for name, values in self._next.items():
            values[self._read : self._read + piece.rows] = piece.arrays[name]
        self._read += piece.rows
        if piece.last:
            self._complete = piece.epoch, piece.window


def empty(n: int, fields: Mapping[str, Field]) -> Arrays:
    """Arrays for so many rows."""
    return {name: np.empty((n, *field.shape), field.dtype) for name, field in fields.items()}


def gather(pool: Arrays, places: np.ndarray, out: Arrays, at: int) -> None:
    """Put the rows of a pool at these places into arrays, from ``at`` on."""
    for name, values in out.items():
        # mode="clip" writes straight into `out`; the places are right by construction
        np.take(pool[name], places, axis=0, out=values[at : at + len(places)], mode="clip")
