"""xarray datasets (zarr, netCDF, Dask) as rows, read chunk by chunk."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vi.data.sources.base import Arrays, Field, Source, check_dtype
from vi.data.sources.reading import CHUNK_BYTES, chunk_rows_for, reading, take_by_range
from vi.data.sources.registry import ending_of, register_source
from vi.foundation.arguments import instance
from vi.foundation.extras import needs

__all__ = ["DatasetSource"]

ZARR, NETCDF = (".zarr",), (".nc", ".nc4", ".h5")

METADATA = ("zarr.json", ".zarray")
"""What describes an array in a zarr store, of either format: it must stay, chunks may be absent."""

LONGEST_BYTES = 4 * CHUNK_BYTES
"""Bytes read at once at most where one variable has longer chunks than the others: a longer piece
decodes such a chunk less often, but is held in memory as a whole."""


@register_source
class DatasetSource(Source):
    """The data variables of a dataset; what is lazy stays so until its rows are read.

    Rows are read in multiples of the stored chunks (zarr's, netCDF's, or Dask's if the dataset is
    backed by it), about 4 MiB at once; where variables are chunked differently, those of the
    largest variable count. A zarr store opened with ``xarray.open_zarr(path, chunks=None)`` is read
    without Dask, which is quicker. In a zarr store a missing chunk means "all fill value": a
    vanished chunk is therefore seen only where the fill value is NaN (``nan="raise"``), a vanished
    store always.

    Parameters
    ----------
    dataset : xarray.Dataset
        Each data variable is a field; its other dimensions are the shape of a row.
    dim : str, optional
        The dimension of the rows; by default the first dimension that all data variables share.

    Raises
    ------
    ValueError
        If there is no such dimension, or a variable lacks it.
    TypeError
        If a variable does not hold numbers.

    Examples
    --------
    >>> source = DatasetSource(
    ...     xr.Dataset({"x": (("row", "k"), np.ones((3, 2))), "y": ("row", np.arange(3))})
    ... )
    >>> source.n_rows, list(source.fields)
    (3, ['x', 'y'])
    """

    concurrent = True  # xarray has locks where a library needs them
    accepts = "an xarray.Dataset, a .zarr store, a netCDF file (.nc)"

    def __init__(self, dataset: xr.Dataset, *, dim: str | None = None) -> None:
        instance("dataset", dataset, xr.Dataset, "an xarray.Dataset")
        if not dataset.data_vars:
            raise ValueError("The dataset is empty: it has no data variables.")
        first = next(iter(dataset.data_vars.values()))
        shared = [d for d in first.dims if all(d in v.dims for v in dataset.data_vars.values())]
        if dim is None and not shared:
            dims = ", ".join(f"{name!r} has {v.dims}" for name, v in dataset.data_vars.items())
            raise ValueError(
                f"No dimension is shared by all variables ({dims}). Give dim=, and only variables "
                "with it."
            )
        self._dim = shared[0] if dim is None else dim
        lacking = [str(name) for name, v in dataset.data_vars.items() if self._dim not in v.dims]
        if lacking:
            raise ValueError(
                f"dim={dim!r} is not a dimension of {lacking}; drop them, or give one of {shared}."
            )
        self._dataset = dataset.drop_vars(list(dataset.coords)).transpose(self._dim, ...)
        self._files = _files(dataset)
        self.files = tuple(path for path in self._files if path.is_file())
        self.origin = (
            ", ".join(map(str, self._files))
            or f"dataset of {', '.join(map(str, dataset.data_vars))}"
        )
        self.n_rows = int(dataset.sizes[self._dim])
        self.fields = {
            str(name): Field(v.shape[1:], check_dtype(v.dtype, str(name), self.origin))
            for name, v in self._dataset.data_vars.items()
        }
        self.chunk_rows = self._chunk_rows(dataset)
        with reading(self.origin, 0, 1):
            self._in_memory = self._views()

    @classmethod
    def reads(cls, data: Any) -> bool:
        return isinstance(data, xr.Dataset) or ending_of(data) in ZARR + NETCDF

    @classmethod
    def open(cls, data: Any, n_rows: int | None) -> Source:
        return cls(data if isinstance(data, xr.Dataset) else _opened(Path(data)))

    def take(self, rows: slice | np.ndarray) -> Arrays:
        return take_by_range(self, rows, self._read)

    def close(self) -> None:
        self._dataset.close()

    def _read(self, start: int, stop: int) -> Arrays:
        with reading(self.origin, start, stop):
            for path, size in self._files.items():
                if path.stat().st_size < size:  # the netCDF library reads what is missing as zeros
                    raise EOFError(f"{path} has become shorter")
            part = self._dataset.isel({self._dim: slice(start, stop)}).compute()
            return {name: self._owned(name, part[name].values) for name in self.fields}

    def _owned(self, name: str, values: np.ndarray) -> np.ndarray:
        """The values in C order; a copy where they are a part of the dataset's own."""
        copy = True if name in self._in_memory or not values.flags.writeable else None
        return np.array(values, self.fields[name].dtype, order="C", copy=copy)

    def _views(self) -> set[str]:
        """The variables whose parts are views of their memory: two readings share it."""
        first, second = (self._dataset.isel({self._dim: slice(0, 1)}).compute() for _ in range(2))
        return {
            name
            for name in self.fields
            if np.may_share_memory(first[name].values, second[name].values)
        }

    def _chunk_rows(self, dataset: xr.Dataset) -> int:
        chunks = {
            str(name): _stored_chunk(v, str(self._dim)) for name, v in dataset.data_vars.items()
        }
        largest = max(self.fields, key=lambda name: self.fields[name].nbytes)
        unit = chunks[largest] or max(chunks.values())
        rows = chunk_rows_for(self.row_bytes, self.n_rows, unit or 1)
        # a variable with longer chunks is decoded again for every piece of one: longer pieces
        wanted = min(max(chunks.values()), LONGEST_BYTES // max(1, self.row_bytes))
        return min(self.n_rows, max(rows, math.ceil(wanted / unit) * unit)) if unit else rows


def _opened(path: Path) -> xr.Dataset:
    """The dataset at a path, lazily."""
    if not path.exists():
        raise FileNotFoundError(f"There is nothing at {path}.")
    dataset: xr.Dataset
    if path.suffix.lower() in ZARR:
        needs("zarr", "zarr stores")
        dataset = xr.open_zarr(path, chunks=None, consolidated=False)  # quicker without Dask
        return dataset
    if importlib.util.find_spec("h5netcdf") is None:  # xarray reads these files with either package
        needs("netCDF4", "netCDF files")
    dataset = xr.open_dataset(path, cache=False)  # a cache would hold all rows in the end
    return dataset


def _stored_chunk(variable: xr.DataArray, dim: str) -> int:
    """Rows of a chunk; 0 where the variable has none."""
    if dim in variable.chunksizes:
        return max(variable.chunksizes[dim], default=0)
    stored = variable.encoding.get("preferred_chunks") or {}
    if dim in stored:
        return int(np.max(stored[dim]))
    chunks = variable.encoding.get("chunksizes")
    return int(chunks[variable.get_axis_num(dim)]) if chunks else 0


def _files(dataset: xr.Dataset) -> dict[Path, int]:
    """Local files and folders behind a dataset that must stay, and the sizes files must keep."""
    sources = [
        dataset.encoding.get("source"),
        *(v.encoding.get("source") for v in dataset.data_vars.values()),
    ]
    paths = {Path(source) for source in sources if isinstance(source, str)}
    for path in list(paths):
        paths |= {
            p
            for name in dataset.data_vars
            for p in (path / str(name)).glob("*")
            if p.name in METADATA
        }
    return {p: p.stat().st_size if p.is_file() else 0 for p in sorted(paths) if p.exists()}
