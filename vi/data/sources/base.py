"""What rows come from: the abstract source, its fields, and the error of data that cannot be
read.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Arrays",
    "DataError",
    "Field",
    "Source",
    "check_dtype",
    "check_rows",
    "chunk_rows_for",
    "reading",
    "taken",
]

type Arrays = dict[str, np.ndarray]

CHUNK_BYTES = 2**22
"""Bytes that are read at once where a source has no chunks of its own: enough for a disk, little
beside a window.
"""

READ_ERRORS = (OSError, ValueError, RuntimeError, LookupError, EOFError)
"""What readers of files raise for files that vanish, are cut short or hold something else."""


class DataError(RuntimeError):
    """Rows that cannot be read, or are not what was promised; says source, field, rows and what
    to do.
    """


@dataclass(frozen=True)
class Field:
    """What one row holds under one name.

    Parameters
    ----------
    shape : tuple of int
        Shape of a row: ``()`` for a number, ``(k,)`` for a vector.
    dtype : numpy.dtype
        Type of its numbers: bool, integer, float or complex, in the machine's byte order.

    Examples
    --------
    >>> Field((3,), np.dtype("float32")).nbytes
    12
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Source(abc.ABC):
    """Rows by number: what a :class:`Stream` reads.

    A source of one's own sets the attributes below and has ``take``; it is then accepted wherever a
    source is.
    """

    n_rows: int
    """Rows in all."""

    fields: dict[str, Field]
    """What a row holds, by name."""

    chunk_rows: int
    """Rows that are read together cheaply; chunk ``i`` holds the rows from ``i * chunk_rows``
    on.
    """

    bounds: np.ndarray | None = None
    """Where chunks differ in length: the first row of each, then ``n_rows``; ``chunk_rows`` is
    the longest.
    """

    random_access: bool = True
    """Whether rows are read by number; if not, they come in their own order, batch by batch."""

    origin: str = "the source"
    """What messages call it: a path, or the names of the arrays."""

    @abc.abstractmethod
    def take(self, rows: slice | np.ndarray) -> Arrays:
        """Return rows by number, in that order: arrays ``(len(rows), *shape)`` in memory, which the
        caller owns.

        Parameters
        ----------
        rows : slice or numpy.ndarray
            A slice without step, or row numbers from 0 on, shape ``(n,)``.

        Raises
        ------
        DataError
            If they cannot be read.
        IndexError
            If there is no such row.
        """

    concurrent: bool = False
    """Whether :meth:`take` may be called from several threads at once; otherwise calls follow
    each other.
    """

    reads_into: bool = False
    """Whether there is :meth:`take_into`."""

    def take_into(self, start: int, stop: int, out: Arrays) -> None:
        """Put consecutive rows into arrays ``(stop - start, *shape)``, contiguous and of the
        fields' types.

        For sources that can read straight into memory, from several threads at once; raises what
        :meth:`take` raises.
        """
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 (most sources hold nothing open)
        """Let go of what is open."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, all fields together."""
        return sum(field.nbytes for field in self.fields.values())


def taken(source: Source, rows: slice | np.ndarray, read: Callable[[int, int], Arrays]) -> Arrays:
    """Rows by number, by a function that reads consecutive ones; for row numbers, at most a
    chunk at once.
    """
    n_rows, origin = source.n_rows, source.origin
    if isinstance(rows, slice):
        start, stop, step = rows.indices(n_rows)
        if step == 1 and start < stop:
            return read(start, stop)
        rows = np.arange(start, stop, step)
    rows = np.asarray(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise IndexError(
            f"{origin}: rows are a slice or a vector of integers, got {rows.dtype} of shape {rows.shape}."
        )
    if rows.size and (rows.min() < 0 or rows.max() >= n_rows):
        raise IndexError(f"{origin}: rows are 0 to {n_rows - 1}, got {rows.min()} to {rows.max()}.")
    order = np.argsort(rows, kind="stable")
    ordered = rows[order].astype(np.intp)
    cuts = np.flatnonzero(np.diff(ordered // source.chunk_rows)) + 1
    result = {
        name: np.empty((len(rows), *field.shape), field.dtype)
        for name, field in source.fields.items()
    }
    for places, numbers in zip(np.split(order, cuts), np.split(ordered, cuts), strict=True):
        if len(numbers):
            part = read(int(numbers[0]), int(numbers[-1]) + 1)
            for name, values in part.items():
                result[name][places] = values[numbers - numbers[0]]
    return result


def chunk_rows_for(row_bytes: int, n_rows: int, unit: int = 1) -> int:
    """Rows of about 4 MiB: a multiple of ``unit``, at least one unit, at most all rows."""
    units = max(1, CHUNK_BYTES // max(1, row_bytes * unit))
    return max(1, min(n_rows, units * unit))


def check_dtype(dtype: np.dtype, name: str, origin: str) -> np.dtype:
    """The type in native byte order; refuse what is not a number."""
    if dtype.kind not in "biufc":
        raise TypeError(
            f"{origin}: field {name!r} has dtype {dtype}; rows hold booleans, integers, floats or complex numbers. "
            "Convert it (codes for categories, seconds for dates), or leave it out."
        )
    return dtype.newbyteorder("=")


@contextmanager
def reading(origin: str, start: int, stop: int, fields: str = "") -> Iterator[None]:
    """Turn a reader's exception into one that says what could not be read."""
    try:
        yield
    except DataError:
        raise
    except READ_ERRORS as error:
        raise DataError(
            f"{origin}: rows {start} to {stop - 1}{fields and f' of {fields}'} cannot be read "
            f"({type(error).__name__}: {error}). See that the data are still there and complete, then start again: "
            "what was computed so far is kept."
        ) from error


def check_rows(arrays: Arrays, fields: Mapping[str, Field], n: int, origin: str) -> None:
    """Refuse what a source of a user's own may get wrong."""
    for name, field in fields.items():
        if name not in arrays:
            raise DataError(f"{origin}: take() returned {sorted(arrays)}; {name!r} is missing.")
        value = arrays[name]
        if value.shape != (n, *field.shape) or value.dtype.kind != field.dtype.kind:
            raise DataError(
                f"{origin}: take() returned {name!r} as {value.dtype} of shape {value.shape}; {field.dtype} of shape "
                f"{(n, *field.shape)} was to come."
            )
