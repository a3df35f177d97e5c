"""The abstract source of rows, what a row holds, and the error of data that cannot be read."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vi.foundation.arguments import instance
from vi.foundation.arrays import dtype_from
from vi.foundation.numbers import whole

__all__ = ["Arrays", "DataError", "Field", "Source", "check_dtype"]

type Arrays = dict[str, np.ndarray]
"""Rows by the names of their fields: arrays ``(n, *field.shape)``."""


class DataError(RuntimeError):
    """Rows that cannot be read, or are not what was promised: which, and what to do."""


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

    def __post_init__(self) -> None:
        sizes = instance("Field(shape", self.shape, tuple, "a tuple, () for a number")
        for size in sizes:
            whole("a size in Field.shape", size, 0)
        # float and "float32" are types of numbers too
        object.__setattr__(self, "dtype", dtype_from("Field(dtype", self.dtype))

    @property
    def nbytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Source(abc.ABC):
    """Rows by number: what a :class:`Stream` reads.

    A source of one's own is one class:

    1. ``__init__`` sets ``n_rows``, ``fields`` and ``chunk_rows``, and better ``origin`` too.
    2. ``take`` returns rows. The library asks for consecutive rows only, ``slice(start, stop)``
       within ``0`` and ``n_rows``; row numbers come from whoever calls ``take`` directly.
    3. To be recognised where data are given (``vi.fit(data=...)``, :func:`source_from`), it says
       in ``reads`` which objects it is made of, and has :func:`register_source` above it.

    It is then accepted wherever a source is, and what it returns is checked against what it
    promised.

    **Threads.** A stream calls ``take`` from threads of its own (two of them), never from the one
    that fits; :func:`head` and :func:`batches_of` call it from their caller's. A source need not
    know: calls follow each other, whoever makes them, unless the class says ``concurrent = True``.

    Rows that come only in an order of their own need no class: a function that returns an iterator
    of batches is one, with :class:`LoaderSource`.

    Examples
    --------
    >>> class Squares(Source):
    ...     chunk_rows = 1_000
    ...     fields = {"n": Field((), np.dtype(int)), "square": Field((), np.dtype(float))}
    ...
    ...     def __init__(self, n_rows: int) -> None:
    ...         self.n_rows = n_rows
    ...
    ...     def take(self, rows):
    ...         n = np.arange(self.n_rows)[rows]
    ...         return {"n": n, "square": n**2.0}
    >>> from vi.data import Stream
    >>> with Stream(Squares(50), batch_size=5, shuffle=False) as stream:
    ...     stream.start(seed=(1, 2), step=0)
    ...     stream.block(0).arrays["square"][0]
    array([ 0.,  1.,  4.,  9., 16.])
    """

    n_rows: int
    """Rows in all."""

    fields: dict[str, Field]
    """What a row holds, by name."""

    chunk_rows: int
    """Rows that are read together cheaply: chunk ``i`` begins with row ``i * chunk_rows``."""

    bounds: np.ndarray | None = None
    """The first row of each chunk, then ``n_rows``, where chunks differ in length.

    ``chunk_rows`` is then the longest.
    """

    random_access: bool = True
    """Whether rows are read by number: not by :class:`LoaderSource`, by every other class."""

    origin: str = "the source"
    """What messages call it: a path, or the names of the arrays."""

    accepts: str = ""
    """What it is made of, in words, for the message about data that no class reads."""

    files: tuple[Path, ...] = ()
    """The files that hold the rows; one that is replaced or written to meanwhile is refused."""

    concurrent: bool = False
    """Whether rows may be read by several threads at once; otherwise calls follow each other."""

    reads_into: bool = False
    """Whether there is :meth:`take_into`."""

    @abc.abstractmethod
    def take(self, rows: slice | np.ndarray) -> Arrays:
        """Return rows by number, in that order: arrays in memory, which the caller owns.

        Parameters
        ----------
        rows : slice or numpy.ndarray
            A slice without step, or row numbers from 0 on, shape ``(n,)``.

        Returns
        -------
        dict of str to numpy.ndarray
            Arrays ``(n, *field.shape)`` for all fields, each of its field's kind of numbers.

        Raises
        ------
        DataError
            If they cannot be read.
        IndexError
            If there is no such row.
        """

    def take_into(self, start: int, stop: int, out: Arrays) -> None:
        """Put consecutive rows into arrays ``(stop - start, *field.shape)`` of the fields' types.

        For classes that can read straight into memory and say so by ``reads_into = True``; the
        arrays are contiguous. Raises what :meth:`take` raises.
        """
        raise NotImplementedError

    @classmethod
    def reads(cls, data: Any) -> bool:
        """Whether the class is made of such an object, for :func:`register_source`.

        Has to be quick and to raise nothing: it is asked about whatever somebody gives as data.
        """
        return False

    @classmethod
    def open(cls, data: Any, n_rows: int | None) -> Source:
        """Make a source of an object that :meth:`reads` accepts; by default ``cls(data)``.

        Parameters
        ----------
        data : object
            The object.
        n_rows : int or None
            The number of rows that was given with it; what knows its length need not look.
        """
        make: Any = cls
        source: Source = make(data)
        return source

    def close(self) -> None:  # noqa: B027 (most sources hold nothing open)
        """Let go of what is open."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, all fields together."""
        return sum(field.nbytes for field in self.fields.values())


def check_dtype(dtype: np.dtype, name: str, origin: str) -> np.dtype:
    """The type in native byte order; refuse what is not a number."""
    if dtype.kind not in "biufc":
        raise TypeError(
            f"{origin}: field {name!r} has dtype {dtype}; rows hold booleans, integers, floats or "
            "complex numbers. Convert it (codes for categories, seconds for dates), or leave it "
            "out."
        )
    if dtype.itemsize > {"f": 8, "c": 16}.get(dtype.kind, 8):
        raise TypeError(
            f"{origin}: field {name!r} has dtype {dtype}, which neither backend knows; convert it "
            "to float64."
        )
    return dtype.newbyteorder("=")
