"""The source that is meant by what somebody gives as data; and its first or all rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vi.data.sources.base import Arrays, Source
from vi.data.sources.loaders import LoaderSource
from vi.data.sources.reading import check_promises, read_rows
from vi.data.sources.registry import class_for, source_classes
from vi.foundation.arguments import instance
from vi.foundation.numbers import check_count, whole

__all__ = ["batches_of", "head", "source_from"]


def source_from(given: Any, *, n_rows: int | None = None) -> Source:
    """The source that is meant: of the first registered class that reads the object.

    Parameters
    ----------
    given : object
        A :class:`Source`; a mapping of names to arrays, memory maps or ``.npy`` paths; an
        ``xarray.Dataset``; a table of pandas, polars or Arrow; a path of ``.npy``, ``.parquet``,
        ``.zarr`` or ``.nc``; an iterable of batches or a function that returns one; or what a
        class of :func:`register_source` reads.
    n_rows : int, optional
        Rows in all: must be given for iterables, and is checked for what knows its length.

    Raises
    ------
    TypeError
        If it is none of these, or an iterable without ``n_rows``.
    ValueError
        If a path has another ending, or ``n_rows`` is not the number of rows.
    FileNotFoundError
        If there is nothing at a path.

    Examples
    --------
    >>> source_from({"x": np.zeros((4, 2))}).n_rows
    4
    """
    if n_rows is not None:
        check_count("n_rows", n_rows)
    source = given if isinstance(given, Source) else _opened(given, n_rows)
    check_promises(source)
    if n_rows is not None and n_rows != source.n_rows:
        raise ValueError(
            f"n_rows={n_rows}, but {source.origin} has {source.n_rows} rows; leave n_rows out."
        )
    return source


def head(source: Source, rows: int) -> Arrays:
    """The first rows by name, arrays ``(rows, *field.shape)``; fewer if there are not so many.

    Of a loader they are those that come next; they are not lost.

    Examples
    --------
    >>> head(source_from({"x": np.arange(10)}), 3)["x"]
    array([0, 1, 2])
    """
    _check_source(source)
    rows = min(whole("rows", rows, 0), source.n_rows)
    return source.peek(rows) if isinstance(source, LoaderSource) else read_rows(source, 0, rows)


def batches_of(source: Source, block_rows: int) -> Iterator[tuple[int, Arrays]]:
    """All rows once, in order, block by block.

    Blocks of a loader are its batches, cut where they are longer.

    Parameters
    ----------
    source : Source
        The rows.
    block_rows : int
        Rows of a block at most.

    Returns
    -------
    iterator of (int, dict of str to numpy.ndarray)
        The number of a block's first row, and its arrays ``(<= block_rows, *field.shape)``.

    Raises
    ------
    ValueError
        If ``block_rows`` is not positive.
    DataError
        If rows cannot be read, or a loader not more than once.

    Examples
    --------
    >>> [(start, len(rows["x"])) for start, rows in batches_of(source_from({"x": np.arange(5)}), 2)]
    [(0, 2), (2, 2), (4, 1)]
    """
    _check_source(source)  # now, not when the first block is asked for
    check_count("block_rows", block_rows)
    return _blocks(source, block_rows)


def _blocks(source: Source, block_rows: int) -> Iterator[tuple[int, Arrays]]:
    start = 0
    if isinstance(source, LoaderSource):
        for batch in source.once():
            n = len(next(iter(batch.values())))
            for at in range(0, n, block_rows):
                yield (
                    start + at,
                    {name: values[at : at + block_rows] for name, values in batch.items()},
                )
            start += n
        return
    for start in range(0, source.n_rows, block_rows):
        yield start, read_rows(source, start, min(start + block_rows, source.n_rows))


def _check_source(source: Any) -> None:
    instance("source", source, Source, "a source, vi.data.source_from(...)")


def _opened(data: Any, n_rows: int | None) -> Source:
    """A source of the first class that reads an object; an error that says what is read."""
    cls = class_for(data)
    if cls is not None:
        source = cls.open(data, n_rows)
        if not isinstance(source, Source):
            raise TypeError(
                f"{cls.__name__}.open() must return a source, got {type(source).__name__}."
            )
        return source
    if isinstance(data, np.ndarray | xr.DataArray):
        raise TypeError(f"A {type(data).__name__} has no names for its rows; give {{'x': array}}.")
    accepted = "; ".join(sorted(c.accepts for c in source_classes() if c.accepts))
    if isinstance(data, str | Path):
        if not Path(data).exists():
            raise FileNotFoundError(f"There is nothing at {data}.")
        raise ValueError(  # noqa: TRY004 (a path is accepted, this one is not)
            f"{data}: rows are not read from such a path. Open it with its own package and give "
            f"one of: {accepted}."
        )
    raise TypeError(
        f"Rows cannot be read from {data!r}. Give one of: {accepted}; or an instance of a Source."
    )
