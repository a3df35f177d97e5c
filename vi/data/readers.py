"""Rows in the order of training, filled into arrays of any length: in order, through a window, or all in memory."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from vi.data.base import Arrays, Field

__all__ = ["InOrder", "Piece", "Reader", "Resident", "Windowed"]

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
        self._all = _empty(n_rows, fields)
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
            _gather(self._all, self._order[self._at : self._at + k], out, done)
            done, self._at = done + k, self._at + k


class Windowed(Reader):
    """The rows of a window in the order that ``rows_of`` says, then those of the next.

    The places of rows that were handed out take the rows of the next window, piece by piece: the next window is read
    while this one is used, and there are never more rows than ``capacity``, beside the piece that waits for a place.

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
        self._pieces, self._rows_of = pieces, rows_of
        self._pool = _empty(capacity, fields)
        self._spare = np.arange(capacity)  # places that the window leaves free
        self._order = self._spare[:0]  # places of the window's rows, in the order of training
        self._at = self._reused = 0  # rows of it handed out; those whose places were given away again
        self._waiting: Piece | None = None
        self._next: list[np.ndarray] = []  # places of the next window, piece by piece
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
            _gather(self._pool, self._order[self._at : self._at + k], out, done)
            done, self._at = done + k, self._at + k
            self._read_ahead()

    def _turn(self) -> None:
        """Go over to the next window."""
        self._read_ahead()
        assert self._complete is not None, "a window has more rows than the capacity"
        epoch, window = self._complete
        self._spare = np.concatenate([self._spare, self._order[self._reused :]])
        places = np.concatenate(self._next)
        self._order = places[self._rows_of(epoch, window, len(places))]
        self._at = self._reused = 0
        self._next, self._complete = [], None

    def _read_ahead(self) -> None:
        """Read pieces of the next window as long as there is place."""
        while self._complete is None:
            if self._waiting is None:
                self._waiting = next(self._pieces)
            if self._waiting.rows > len(self._spare) + self._at - self._reused:
                return
            self._put(self._waiting)
            self._waiting = None  # before the next is read: one piece is in memory, not two

    def _put(self, piece: Piece) -> None:
        self._next.append(self._places(piece.rows))
        for name, values in self._pool.items():
            values[self._next[-1]] = piece.arrays[name]
        if piece.last:
            self._complete = piece.epoch, piece.window

    def _places(self, n: int) -> np.ndarray:
        spare, self._spare = self._spare[:n], self._spare[n:]
        reused = self._order[self._reused : self._reused + n - len(spare)]
        self._reused += len(reused)
        return np.concatenate([spare, reused])


def _empty(n: int, fields: Mapping[str, Field]) -> Arrays:
    return {name: np.empty((n, *field.shape), field.dtype) for name, field in fields.items()}


def _gather(pool: Arrays, places: np.ndarray, out: Arrays, at: int) -> None:
    for name, values in out.items():
        # mode="clip" writes straight into `out`; the places are right by construction
        np.take(pool[name], places, axis=0, out=values[at : at + len(places)], mode="clip")
