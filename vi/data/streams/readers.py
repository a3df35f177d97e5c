"""Rows in the order of training, filled into arrays of any length: in order, through a window,
or all in memory.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from vi.data.sources.base import Arrays, Field

__all__ = ["InOrder", "Piece", "Reader", "Resident", "empty", "gather"]

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
        self,
        pieces: Iterator[Piece],
        rows_of: RowsOf,
        n_rows: int,
        fields: Mapping[str, Field],
        row: int,
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


def empty(n: int, fields: Mapping[str, Field]) -> Arrays:
    """Arrays for so many rows."""
    return {name: np.empty((n, *field.shape), field.dtype) for name, field in fields.items()}


def gather(pool: Arrays, places: np.ndarray, out: Arrays, at: int) -> None:
    """Put the rows of a pool at these places into arrays, from ``at`` on."""
    for name, values in out.items():
        # mode="clip" writes straight into `out`; the places are right by construction
        np.take(pool[name], places, axis=0, out=values[at : at + len(places)], mode="clip")
