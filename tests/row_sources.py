"""The same rows from every kind of source: what the tests of sources and of streams run over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vi import data
from vi.data.sources.registry import source_classes

N, K = 137, 3
X = np.arange(N * K, dtype=np.float32).reshape(N, K)
Y = np.arange(N) % 5


def dataset() -> xr.Dataset:
    return xr.Dataset({"x": (("row", "k"), X), "y": ("row", Y)})


def memmaps(folder: Path) -> data.Source:
    arrays = {}
    for name, values in (("x", X), ("y", Y)):
        arrays[name] = np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", values.dtype, values.shape
        )
        arrays[name][:] = values
    return data.ArraySource(arrays, chunk_rows=10)


def npy(folder: Path) -> data.Source:
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y.astype(">i8"))
    return data.ArraySource({"x": folder / "x.npy", "y": str(folder / "y.npy")}, chunk_rows=10)


def zarr(folder: Path) -> data.Source:
    pytest.importorskip("zarr")
    encoding = {"x": {"chunks": (10, 2)}, "y": {"chunks": (25,)}}
    dataset().to_zarr(folder / "rows.zarr", encoding=encoding, consolidated=False)
    return data.source_from(folder / "rows.zarr")


def dask(folder: Path) -> data.Source:
    pytest.importorskip("dask.array")
    zarr(folder)
    return data.DatasetSource(
        xr.open_zarr(folder / "rows.zarr", chunks={"row": 50}, consolidated=False)
    )


def netcdf(folder: Path) -> data.Source:
    pytest.importorskip("netCDF4")
    dataset().transpose("k", "row").to_netcdf(folder / "rows.nc", engine="netcdf4")
    return data.source_from(folder / "rows.nc")


def parquet(folder: Path) -> data.Source:
    pq = pytest.importorskip("pyarrow.parquet")
    table = arrow_table()
    pq.write_table(table.slice(0, 100), folder / "a.parquet", row_group_size=30)
    pq.write_table(table.slice(100), folder / "b.parquet", row_group_size=30)
    return data.ParquetSource(folder, fields=PACKED)


PACKED = {"x": ["a", "b", "c"], "y": "y"}
COLUMNS = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y}


def arrow_table():
    return pytest.importorskip("pyarrow").table(COLUMNS)


def polars(folder: Path) -> data.Source:
    return data.FrameSource(pytest.importorskip("polars").DataFrame(COLUMNS), fields=PACKED)


def loader(folder: Path) -> data.Source:
    def batches():
        for start in range(0, N, 20):
            yield X[start : start + 20], Y[start : start + 20]

    return data.LoaderSource(batches, n_rows=N, names=("x", "y"))


EXAMPLES = {
    data.ArraySource: {
        "arrays": lambda folder: data.ArraySource({"x": X, "y": Y}, chunk_rows=10),
        "columns in Fortran order": lambda folder: data.source_from(
            {"x": np.asfortranarray(X), "y": Y.tolist()}
        ),
        "memmaps": memmaps,
        "npy": npy,
    },
    data.DatasetSource: {
        "dataset": lambda folder: data.source_from(dataset()),
        "zarr": zarr,
        "dask": dask,
        "netcdf": netcdf,
    },
    data.ParquetSource: {"parquet": parquet},
    data.FrameSource: {
        "pandas": lambda folder: data.FrameSource(pd.DataFrame(COLUMNS), fields=PACKED),
        "polars": polars,
        "arrow": lambda folder: data.FrameSource(arrow_table(), fields=PACKED),
    },
    data.LoaderSource: {"loader": loader},
}
"""Of a registered class, by name: functions that write the rows X and Y into a folder and open
them.
"""


def examples_of(kind: type[data.Source]) -> dict[str, Callable[[Path], data.Source]]:
    """The examples of a registered class; one that fails where there are none."""
    if kind in EXAMPLES:
        return EXAMPLES[kind]
    name = kind.__name__

    def missing(folder: Path) -> data.Source:
        pytest.fail(
            f"The registered source {name} has no example: give it a function of a folder that "
            "writes the rows X and Y there and opens them, in EXAMPLES of tests/row_sources.py."
        )

    return {name: missing}


SOURCES = {name: make for kind in source_classes() for name, make in examples_of(kind).items()}
"""Every kind of source, by name: a function of the folder for its files."""

BY_NUMBER = [name for kind in source_classes() if kind.random_access for name in examples_of(kind)]
"""Those of which rows can be taken by number."""


SEED = (1, 2)


class Numbered(data.Source):
    """Rows made when they are read, of 800 bytes; chunks listed in `broken` cannot be read."""

    def __init__(self, n_rows: int, chunk_rows: int, bounds=None) -> None:
        self.n_rows, self.chunk_rows, self.bounds = n_rows, chunk_rows, bounds
        self.fields = {
            "row": data.Field((), np.dtype(int)),
            "x": data.Field((99,), np.dtype(float)),
        }
        self.broken: set[int] = set()
        self.reads_made = 0

    def take(self, rows):
        numbers = np.arange(rows.start, rows.stop)
        self.reads_made += 1
        if rows.start // self.chunk_rows in self.broken:
            raise data.DataError(f"rows {rows.start} to {rows.stop - 1} cannot be read")
        return {"row": numbers, "x": np.full((len(numbers), 99), numbers[:, None], float)}


def numbered(n: int, **options) -> data.ArraySource:
    return data.ArraySource({"row": np.arange(n)}, **options)


def rows_from(
    stream: data.Stream, steps: int, *, seed=SEED, start: int = 0, name: str = "row"
) -> np.ndarray:
    """What the steps get, shape (steps, batch_size, ...)."""
    stream.start(seed, start)
    batches = []
    for step in range(start, start + steps):
        block = stream.block(step)
        assert block.first <= step < block.first + block.count
        batches.append(block.arrays[name][step - block.first])
    return np.array(batches)
