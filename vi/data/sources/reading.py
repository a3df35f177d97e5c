"""How rows of a source are asked for: one caller at a time, checked, and errors that say where."""

# And what classes of sources share: rows by number from consecutive ones, and how long a chunk
# is.

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, DataError, Field, Source, check_dtype
from vi.data.sources.file_identity import check_files

__all__ = [
    "CHUNK_BYTES",
    "check_promises",
    "chunk_rows_for",
    "read_rows",
    "read_rows_into",
    "reading",
    "take_by_range",
]

CHUNK_BYTES = 2**22
"""Bytes read at once where a source has no chunks of its own: enough for a disk, little beside a
window."""


def read_rows(source: Source, start: int, stop: int) -> Arrays:
    """Consecutive rows, arrays ``(stop - start, *field.shape)``; calls of one source take turns."""
    with _turn(source), reading(source.origin, start, stop):
        arrays = source.take(slice(start, stop))
    check_files(source)
    _check(arrays, source.fields, start, stop, source.origin)
    return arrays


def read_rows_into(source: Source, start: int, stop: int, out: Arrays) -> None:
    """The same into arrays ``(stop - start, *field.shape)``, without a copy where it can be."""
    if source.reads_into:
        with _turn(source), reading(source.origin, start, stop):
            source.take_into(start, stop, out)
        check_files(source)
        return
    for name, values in read_rows(source, start, stop).items():
        if name in out:
            out[name][...] = values


@contextmanager
def reading(origin: str, start: int, stop: int, fields: str = "") -> Iterator[None]:
    """Turn a reader's exception into one that says what could not be read.

    Whatever it is: readers of databases and formats have exceptions of their own.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{origin}: rows {start} to {stop - 1}{fields and f' of {fields}'} cannot be read "
            f"({type(error).__name__}: {error}). See that the data are still there and complete, "
            "then start again: what was computed so far is kept."
        ) from error


def check_promises(source: Source) -> None:
    """Refuse a source that does not say what it holds, before a row is read.

    Raises
    ------
    TypeError
        If ``n_rows``, ``fields`` or ``chunk_rows`` is missing or of the wrong kind.
    DataError
        If there is no row, no row in a chunk, or no field.
    """
    check_files(source)
    name = type(source).__name__
    lacking = [key for key in ("n_rows", "fields", "chunk_rows") if not hasattr(source, key)]
    if lacking:
        raise TypeError(
            f"The source {name} has no {', '.join(lacking)}: its __init__ sets n_rows, fields "
            "({name: Field(shape, dtype)}) and chunk_rows."
        )
    for key in ("n_rows", "chunk_rows"):
        value = getattr(source, key)
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"The source {name} has {key}={value!r}: must be a whole number.")
    fields = source.fields
    if not isinstance(fields, Mapping) or not all(
        isinstance(key, str) and isinstance(field, Field) for key, field in fields.items()
    ):
        raise TypeError(
            f"The source {name} has fields={fields!r}: must be a dict of vi.data.Field(shape, "
            "dtype) by name."
        )
    for field_name, field in fields.items():
        check_dtype(np.dtype(field.dtype), field_name, source.origin)
    if source.n_rows < 1 or source.chunk_rows < 1 or not fields:
        raise DataError(
            f"{source.origin}: n_rows={source.n_rows}, chunk_rows={source.chunk_rows} and "
            f"fields={sorted(fields)}; there must be a row, a row in a chunk and a field."
        )


def take_by_range(
    source: Source, rows: slice | np.ndarray, read: Callable[[int, int], Arrays]
) -> Arrays:
    """The rows of :meth:`Source.take`, by a function that reads consecutive ones.

    Parameters
    ----------
    source : Source
        Whose rows they are.
    rows : slice or numpy.ndarray
        A slice, or row numbers, shape ``(n,)``: at most a chunk is read at once for them.
    read : callable
        The rows from a first to before a last, arrays ``(stop - start, *field.shape)``.
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
            f"{origin}: rows are a slice or a vector of integers, got {rows.dtype} of shape "
            f"{rows.shape}."
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


class _Turn:
    """The lock of one source, made anew in a copy or a pickle: locks can be neither."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Turn, ()


def _turn(source: Source) -> AbstractContextManager[None]:
    """What a call waits for: nothing, or the end of the call before, from whatever thread.

    The lock lies with the source rather than with a stream, for several streams may read one. It
    is made when it is first needed, so that a class may forget ``super().__init__()``.
    """
    if source.concurrent:
        return nullcontext()
    turn: _Turn = source.__dict__.setdefault("_source_turn", _Turn())
    return turn


def _check(arrays: Any, fields: Mapping[str, Field], start: int, stop: int, origin: str) -> None:
    """Refuse what a source of a user's own may get wrong."""
    rows = f"{origin}: take() of rows {start} to {stop - 1}"
    if not isinstance(arrays, Mapping):
        got = "nothing" if arrays is None else f"a {type(arrays).__name__}"
        raise DataError(f"{rows} returned {got}; a dict of arrays by name was to come.")
    for name, field in fields.items():
        if name not in arrays:
            raise DataError(f"{rows} returned {sorted(arrays)}; {name!r} is missing.")
        value = arrays[name]
        n = stop - start
        if not isinstance(value, np.ndarray):
            raise DataError(
                f"{rows} returned {name!r} as a {type(value).__name__}; a NumPy array of "
                f"{field.dtype} of shape {(n, *field.shape)} was to come."
            )
        if value.shape != (n, *field.shape) or value.dtype.kind != field.dtype.kind:
            raise DataError(
                f"{rows} returned {name!r} as {value.dtype} of shape {value.shape}; "
                f"{field.dtype} of shape {(n, *field.shape)} was to come."
            )
