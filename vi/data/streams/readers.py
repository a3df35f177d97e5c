"""One loop that hands out rows window by window, and windows without memory of their own."""

# Shapes: rows in memory are arrays ``(n, *field.shape)`` by name; a window's ``places`` say which
# of them are its rows, and in which order.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from vi.data.sources.base import Arrays, Field

__all__ = [
    "Permute",
    "Reader",
    "Window",
    "empty",
    "in_blocks",
    "in_order",
    "n_rows_of",
    "resident",
]

type Permute = Callable[[int, int, np.ndarray], np.ndarray]
"""The order of a window: from epoch, window and the places of its rows, those places permuted."""


class Window(NamedTuple):
    """Rows that are in memory, in the order of training.

    Parameters
    ----------
    rows : dict of str to numpy.ndarray
        Arrays ``(n, *field.shape)`` in which the rows lie, among others perhaps.
    places : numpy.ndarray or None
        Where each row of the window lies, shape ``(rows of the window,)``; ``None`` if the arrays
        hold just the window, in order.
    keep_up : callable or None
        Is told how many rows of the window have been handed out, to read on meanwhile.
    """

    rows: Arrays
    places: np.ndarray | None = None
    keep_up: Callable[[int], None] | None = None

    def __len__(self) -> int:
        return n_rows_of(self.rows) if self.places is None else len(self.places)

    def put(self, start: int, stop: int, out: Arrays, at: int) -> None:
        """Put the rows from ``start`` to ``stop`` into other arrays, from ``at`` on."""
        for name, values in out.items():
            there = values[at : at + stop - start]
            if self.places is None:
                there[...] = self.rows[name][start:stop]
            else:
                # mode="clip" writes straight into `out`; the places are right by construction
                places = self.places[start:stop]
                np.take(self.rows[name], places, axis=0, out=there, mode="clip")


class Reader:
    """The rows of window after window, each once, into arrays of any length.

    Parameters
    ----------
    windows : iterator of Window
        Without end. The next one is asked for when all rows of the last are handed out, which is
        let go of before: what it holds may be used again.
    skip : int
        Rows to leave out at the beginning.
    """

    def __init__(self, windows: Iterator[Window], skip: int) -> None:
        self._windows = windows
        self._window: Window | None = None
        self._at = skip

    def fill(self, out: Arrays) -> None:
        """Put the next rows into arrays ``(n, *field.shape)``, all of them."""
        done, n = 0, n_rows_of(out)
        while done < n:
            if self._window is None:
                self._window = next(self._windows)
            length = len(self._window)
            if self._at >= length:
                self._at -= length
                self._window = None  # before the next is read: one is in memory, not two
                continue
            k = min(n - done, length - self._at)
            self._window.put(self._at, self._at + k, out, done)
            done, self._at = done + k, self._at + k
            if self._window.keep_up is not None:
                self._window.keep_up(self._at)


def in_order(parts: Iterator[Arrays]) -> Iterator[Window]:
    """Rows as they come: each part, arrays ``(n, *field.shape)``, is a window."""
    return map(Window, parts)  # a loop would keep a part while it waits for the next


def resident(
    chunks: Iterable[Arrays],
    permute: Permute,
    n_rows: int,
    fields: Mapping[str, Field],
    epoch: int,
) -> Iterator[Window]:
    """All rows in memory, read once: windows that are an epoch each.

    Parameters
    ----------
    chunks : iterable of dict
        All rows, in the order of the source.
    permute : callable
        The order of an epoch.
    n_rows : int
        Rows in all.
    fields : mapping of str to Field
        What a row holds.
    epoch : int
        The first epoch.
    """
    rows, done = empty(n_rows, fields), 0
    for chunk in chunks:
        n = n_rows_of(chunk)
        for name, values in rows.items():
            values[done : done + n] = chunk[name]
        done += n
    while True:
        yield Window(rows, permute(epoch, 0, np.arange(n_rows)))
        epoch += 1


def in_blocks(parts: Iterable[Arrays], rows: int, fields: Mapping[str, Field]) -> Iterator[Arrays]:
    """Parts of any lengths put together and cut into blocks of ``rows``; the last is shorter."""
    block, filled = empty(rows, fields), 0
    for part in parts:
        at, length = 0, n_rows_of(part)
        while at < length:
            k = min(length - at, rows - filled)
            for name, values in block.items():
                values[filled : filled + k] = part[name][at : at + k]
            at, filled = at + k, filled + k
            if filled == rows:
                yield block
                block, filled = empty(rows, fields), 0
    if filled:
        yield {name: values[:filled] for name, values in block.items()}


def n_rows_of(arrays: Arrays) -> int:
    """The number of rows that arrays share."""
    return len(next(iter(arrays.values())))


def empty(n: int, fields: Mapping[str, Field]) -> Arrays:
    """Arrays ``(n, *field.shape)`` for so many rows."""
    return {name: np.empty((n, *field.shape), field.dtype) for name, field in fields.items()}
