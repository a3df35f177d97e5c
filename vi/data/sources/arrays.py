"""Arrays in memory, memory maps and .npy files as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vi.data.sources.base import Arrays, Field, Source, check_dtype
from vi.data.sources.reading import chunk_rows_for, reading, take_by_range
from vi.data.sources.registry import ending_of, register_source
from vi.foundation.arguments import instance
from vi.foundation.arrays import refuse_masked
from vi.foundation.lengths import refuse_lengths
from vi.foundation.numbers import check_count

__all__ = ["ArraySource"]


@register_source
class ArraySource(Source):
    """Arrays by name, whose first dimension is the rows.

    Files are read by plain reads, never through a map: a map of a file that is cut short ends the
    process, and its pages count as the process's memory. A memory map is read from its file
    likewise, unless its rows do not lie one after the other there (every second row, some columns)
    or it is copy-on-write.

    Parameters
    ----------
    arrays : mapping of str to array_like or path
        Arrays ``(n_rows, ...)``, :class:`numpy.memmap`, or paths of ``.npy`` files.
    chunk_rows : int, optional
        Rows that are read together; by default about 4 MiB of them.

    Raises
    ------
    ValueError
        If the arrays differ in length, or there are none.
    TypeError
        If one does not hold numbers, or is lazy.

    Examples
    --------
    >>> source = ArraySource({"x": np.arange(6.0).reshape(3, 2), "y": np.array([0, 1, 1])})
    >>> source.n_rows, source.fields["x"].shape
    (3, (2,))
    >>> source.take(np.array([2, 0]))["y"]
    array([1, 0])
    """

    concurrent = reads_into = True  # arrays are only read, a file is opened anew for every reading
    accepts = "arrays by name, a .npy file"

    def __init__(self, arrays: Mapping[str, Any], *, chunk_rows: int | None = None) -> None:
        instance("arrays", arrays, Mapping, "a dict of arrays by name: {'x': x, 'y': y}")
        self._columns = {str(name): _column(str(name), array) for name, array in arrays.items()}
        if not self._columns:
            raise ValueError(
                "ArraySource(arrays={}) is empty; give arrays by name: {'x': x, 'y': y}."
            )
        lengths = {name: column.shape[0] for name, column in self._columns.items()}
        refuse_lengths("The arrays of a source", lengths)
        files = {str(c.path): None for c in self._columns.values() if isinstance(c, _File)}
        self.files = tuple(c.path for c in self._columns.values() if isinstance(c, _File))
        self.origin = ", ".join(files or [f"arrays {', '.join(map(repr, self._columns))}"])
        self.n_rows = next(iter(lengths.values()))
        self.fields = {
            name: Field(column.shape[1:], check_dtype(column.dtype, name, self.origin))
            for name, column in self._columns.items()
        }
        if chunk_rows is not None:
            check_count("chunk_rows", chunk_rows)
        self.chunk_rows = chunk_rows or chunk_rows_for(self.row_bytes, self.n_rows)

    @classmethod
    def reads(cls, data: Any) -> bool:
        # a Dataset is a mapping too, with a class of its own
        by_name = isinstance(data, Mapping) and not isinstance(data, xr.Dataset)
        return by_name or ending_of(data) == ".npy"

    @classmethod
    def open(cls, data: Any, n_rows: int | None) -> Source:
        return cls(data if isinstance(data, Mapping) else {Path(data).stem: data})

    def take(self, rows: slice | np.ndarray) -> Arrays:
        return take_by_range(self, rows, self._read)

    def take_into(self, start: int, stop: int, out: Arrays) -> None:
        for name, column in self._columns.items():
            if isinstance(column, _File):
                with reading(str(column.path), start, stop, f"field {name!r}"):
                    column.read(start, out[name])
            else:
                out[name][...] = column[start:stop]

    def _read(self, start: int, stop: int) -> Arrays:
        result = {
            name: np.empty((stop - start, *field.shape), field.dtype)
            for name, field in self.fields.items()
        }
        self.take_into(start, stop, result)
        return result


@dataclass(frozen=True)
class _File:
    """Numbers in C order in a file, from a byte on."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, start: int, out: np.ndarray) -> None:
        """Fill an array of the native type with rows from ``start`` on."""
        rest = memoryview(out.reshape(-1).view(np.uint8))
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset + start * (out.strides[0] if out.size else 0))
            while len(rest):  # a read may stop early, at a signal or after 2 GiB
                n = file.readinto(rest)
                if not n:
                    raise EOFError(f"the file ends {len(rest)} bytes early: it was cut short")
                rest = rest[n:]
        if not self.dtype.isnative:
            out.byteswap(inplace=True)


def _column(name: str, values: Any) -> np.ndarray | _File:
    """The rows of a field: an array ``(n_rows, ...)``, or the part of a file that holds it."""
    if isinstance(values, str | Path):
        path = Path(values)
        if path.suffix != ".npy":
            raise ValueError(
                f"Field {name!r}: {str(path)!r} is not a .npy file; save it with numpy.save."
            )
        if not path.is_file():
            raise FileNotFoundError(f"Field {name!r}: there is no file {path}.")
        with reading(str(path), 0, 1, f"field {name!r}"):
            values = np.load(path, mmap_mode="r", allow_pickle=False)
    refuse_masked(values, f"Field {name!r}", error=TypeError)
    if hasattr(values, "__dask_graph__") or type(values).__module__.startswith("xarray"):
        package = type(values).__module__.partition(".")[0]
        raise TypeError(
            f"Field {name!r} is a {package} {type(values).__name__}; give an xarray.Dataset of all "
            "fields, which is read chunk by chunk."
        )
    if hasattr(values, "toarray") or hasattr(values, "todense"):
        raise TypeError(
            f"Field {name!r} is a sparse {type(values).__name__}; a dense array is accepted: "
            ".toarray(), or a source of your own whose take() does so for some rows."
        )
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim == 0:
        raise ValueError(f"Field {name!r} is a single value; its first dimension must be the rows.")
    return _file_of(array) or array


def _file_of(array: np.ndarray) -> _File | None:
    """The part of a file that an array maps; None where it maps none, or not row after row."""
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if (
        not isinstance(root, np.memmap)
        or root.filename is None
        or root.mode == "c"
        or not array.flags.c_contiguous
    ):
        return None
    offset = int(root.offset) + array.ctypes.data - root.ctypes.data
    return _File(Path(root.filename), offset, array.shape, array.dtype)
