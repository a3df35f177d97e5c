"""The source that is meant by arrays, a dataset, a table, a path or a loader; and its first or
all rows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vi.data.sources.arrays import ArraySource
from vi.data.sources.base import Arrays, Source
from vi.data.sources.datasets import DatasetSource
from vi.data.sources.frames import FrameSource, is_frame
from vi.data.sources.loaders import LoaderSource
from vi.data.sources.parquet import ParquetSource
from vi.foundation.extras import needs

__all__ = ["batches_of", "head", "source_from"]


def source_from(given: Any, *, n_rows: int | None = None) -> Source:
    """The source that is meant.

    Parameters
    ----------
    given : object
        A :class:`Source`; a mapping of names to arrays, memory maps or ``.npy`` paths; an
        ``xarray.Dataset``; a table of pandas, polars or Arrow; a path of ``.npy``, ``.parquet``,
        ``.zarr`` or ``.nc``; an iterable of batches or a function that returns one.
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
    source = _source(given, n_rows)
    if n_rows is not None and n_rows != source.n_rows:
        raise ValueError(
            f"n_rows={n_rows}, but {source.origin} has {source.n_rows} rows; leave n_rows out."
        )
    return source


def head(source: Source, rows: int) -> Arrays:
    """The first rows by name, arrays ``(rows, *shape)``; fewer if there are not so many.

    Of a loader they are those that come next; they are not lost.

    Examples
    --------
    >>> head(source_from({"x": np.arange(10)}), 3)["x"]
    array([0, 1, 2])
    """
    rows = min(rows, source.n_rows)
    return source.peek(rows) if isinstance(source, LoaderSource) else source.take(slice(0, rows))


def batches_of(source: Source, block_rows: int) -> Iterator[tuple[int, Arrays]]:
    """All rows once, in order: the number of the first row of a block and its arrays ``(<=
    block_rows, *shape)``.

    Blocks of a loader are its batches, cut where they are longer.

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
    if block_rows < 1:
        raise ValueError(f"batches_of(block_rows={block_rows}): must be at least 1.")
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
        yield start, source.take(slice(start, min(start + block_rows, source.n_rows)))


def _source(given: Any, n_rows: int | None) -> Source:
    if isinstance(given, Source):
        return given
    if isinstance(given, xr.Dataset):
        return DatasetSource(given)
    if is_frame(given) or type(given).__name__ == "LazyFrame":
        return FrameSource(given)
    if isinstance(given, Mapping):
        return ArraySource(given)
    if isinstance(given, str | Path):
        return _at(Path(given))
    if isinstance(given, np.ndarray | xr.DataArray):
        raise TypeError(f"A {type(given).__name__} has no names for its rows; give {{'x': array}}.")
    if not isinstance(given, type) and (callable(given) or hasattr(given, "__iter__")):
        if n_rows is None:
            raise TypeError(
                f"n_rows= is needed with {type(given).__name__}: the rows of an epoch, by which the likelihood is "
                "scaled. The length of a loader is a number of batches."
            )
        return LoaderSource(given, n_rows=n_rows)
    raise TypeError(
        f"Rows cannot be read from {given!r}. Give arrays by name, an xarray.Dataset, a table of pandas, polars or "
        "Arrow, a path of .npy, .parquet, .zarr or .nc, a loader (with n_rows=), or a Source."
    )


def _at(path: Path) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"There is nothing at {path}.")
    match path.suffix.lower():
        case ".npy":
            return ArraySource({path.stem: path})
        case ".parquet" | ".pq":
            return ParquetSource(path)
        case ".zarr":
            needs("zarr", "zarr stores")
            return DatasetSource(xr.open_zarr(path, chunks=None, consolidated=False))
        case ".nc" | ".nc4" | ".h5":
            if importlib.util.find_spec("h5netcdf") is None:
                needs("netCDF4", "netCDF files")
            return DatasetSource(xr.open_dataset(path, cache=False))
        case "" if path.is_dir():
            return ParquetSource(path)
    raise ValueError(
        f"{path}: rows are read from .npy, .parquet (or a folder of them), .zarr and .nc. Open it with its own package "
        "and give arrays by name, a table or an xarray.Dataset."
    )
