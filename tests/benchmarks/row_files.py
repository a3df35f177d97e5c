"""Rows of a linear regression on disk, written in bounded memory, and the posterior that
they have.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from references import Posterior, linear

__all__ = ["FORMATS", "NOISE", "SEED", "Layout", "drop_from_cache", "read_alone", "write"]

NOISE = 1.0
SEED = 5


@dataclass(frozen=True)
class Layout:
    """Rows of ``columns`` regressors and one response, float32.

    Parameters
    ----------
    rows, columns : int
        Sizes.
    chunk_rows : int
        Rows that are written and read together.
    """

    rows: int
    columns: int
    chunk_rows: int

    @property
    def row_bytes(self) -> int:
        return 4 * (self.columns + 1)

    @property
    def chunks(self) -> int:
        return -(-self.rows // self.chunk_rows)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """First row of a chunk, and the one after its last."""
        return chunk * self.chunk_rows, min(self.rows, (chunk + 1) * self.chunk_rows)

    def chunk(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a chunk: a function of its number alone."""
        first, end = self.bounds(number)
        coefficients = np.linspace(-1, 1, self.columns, dtype=np.float32)
        rng = np.random.Generator(np.random.SFC64([SEED, number]))
        x = rng.standard_normal((end - first, self.columns), dtype=np.float32)
        return x, x @ coefficients + np.float32(NOISE) * rng.standard_normal(
            end - first, dtype=np.float32
        )


def write(layout: Layout, folder: Path, form: str) -> Posterior:
    """Write the rows to ``folder``, one chunk in memory at a time, and return the posterior of
    all of them.
    """
    xx, xy = np.zeros((layout.columns, layout.columns)), np.zeros(layout.columns)
    with FORMATS[form](layout, folder) as put:
        for number in range(layout.chunks):
            x, y = layout.chunk(number)
            put(layout.bounds(number)[0], x, y)
            exact = x.astype(np.float64)
            xx += exact.T @ exact
            xy += exact.T @ y.astype(np.float64)
    os.sync()  # what is not on disk yet could not be dropped from the cache
    return linear(xx, xy, NOISE)


@contextlib.contextmanager
def _npy(layout: Layout, folder: Path) -> Iterator[Any]:
    with (folder / "x.npy").open("wb") as x_file, (folder / "y.npy").open("wb") as y_file:
        for file, shape in ((x_file, (layout.rows, layout.columns)), (y_file, (layout.rows,))):
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )

        def put(first: int, x: np.ndarray, y: np.ndarray) -> None:
            x.tofile(x_file)
            y.tofile(y_file)

        yield put


@contextlib.contextmanager
def _zarr(layout: Layout, folder: Path) -> Iterator[Any]:
    """Uncompressed: random numbers do not shrink, and the disk is what is measured."""
    import zarr

    group = zarr.create_group(folder / "rows.zarr")
    options: dict[str, Any] = {"dtype": "float32", "compressors": None}
    size = layout.chunk_rows
    x_array = group.create_array(
        "x",
        shape=(layout.rows, layout.columns),
        chunks=(size, layout.columns),
        dimension_names=("row", "column"),
        **options,
    )
    y_array = group.create_array(
        "y", shape=(layout.rows,), chunks=(size,), dimension_names=("row",), **options
    )

    def put(first: int, x: np.ndarray, y: np.ndarray) -> None:
        x_array[first : first + len(x)] = x
        y_array[first : first + len(y)] = y

    yield put


FORMATS = {"npy": _npy, "zarr": _zarr}
"""How rows are written, by format."""


def drop_from_cache(folder: Path) -> None:
    """Ask the kernel to forget the files' pages, so that they are read from the disk again
    (Linux).
    """
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def read_alone(layout: Layout, folder: Path, form: str, seed: int = SEED) -> int:
    """Read every chunk once in a random order, with the library of the format and no more.

    Returns the rows read.
    """
    order = np.random.default_rng(seed).permutation(layout.chunks)
    rows = 0
    if form == "zarr":
        import zarr

        group = zarr.open_group(folder / "rows.zarr", mode="r")
        for number in order:
            first, end = layout.bounds(number)
            rows += min(len(group[name][first:end]) for name in ("x", "y"))
        return rows
    starts = {name: np.load(folder / f"{name}.npy", mmap_mode="r").offset for name in ("x", "y")}
    with (folder / "x.npy").open("rb") as x_file, (folder / "y.npy").open("rb") as y_file:
        for number in order:
            first, end = layout.bounds(number)
            x_file.seek(starts["x"] + first * layout.columns * 4)
            y_file.seek(starts["y"] + first * 4)
            x = np.fromfile(x_file, np.float32, (end - first) * layout.columns)
            rows += min(len(x) // layout.columns, len(np.fromfile(y_file, np.float32, end - first)))
    return rows
