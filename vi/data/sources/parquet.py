"""Parquet files as rows, read by row groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, Source
from vi.data.sources.columns import (
    arrow_field,
    arrow_values,
    columns_from,
    fields_of,
    names_in,
    pack,
)
from vi.data.sources.reading import chunk_rows_for, reading, take_by_range
from vi.data.sources.registry import ending_of, register_source
from vi.foundation.extras import needs

__all__ = ["ParquetSource"]


@register_source
class ParquetSource(Source):
    """A Parquet file, several of them, or a folder of them.

    A row group is decoded as a whole: it is the least that a stream holds in memory. Groups of less
    than 4 MiB are read several at once.

    Parameters
    ----------
    path : path or sequence of paths
        The file; a folder stands for its ``.parquet`` files in the order of their names.
    fields : mapping of str to str or sequence of str, optional
        The column of each field, or the columns that are packed into a vector; by default each
        column is a field.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is not there, or the files differ in their columns.
    TypeError
        If a column does not hold numbers, or lists of them of fixed size.

    Examples
    --------
    >>> source = ParquetSource(
    ...     "trips.parquet", fields={"x": ["distance", "hour"], "y": "fare"}
    ... )  # doctest: +SKIP
    """

    accepts = "a .parquet file, a folder of them"

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        fields: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        self._parquet = needs("pyarrow.parquet", "Parquet files")
        self._paths = _files(path)
        self.files = tuple(self._paths)
        self.origin = (
            str(path)
            if isinstance(path, str | Path)
            else f"{self._paths[0]} and {len(self._paths) - 1} more"
        )
        self._footers = []
        for file in self._paths:
            with reading(str(file), 0, 1):
                self._footers.append(self._parquet.read_metadata(file))
        schema = self._footers[0].schema.to_arrow_schema()
        for file, footer in zip(self._paths, self._footers, strict=True):
            if not footer.schema.to_arrow_schema().equals(schema):
                raise ValueError(
                    f"{file} has other columns than {self._paths[0]}; all files need the same "
                    "schema."
                )
        self._columns = columns_from(fields, schema.names, self.origin)
        self._column_fields = {
            name: arrow_field(schema.field(name).type, name, self.origin)
            for name in names_in(self._columns)
        }
        self.fields = fields_of(self._columns, self._column_fields.__getitem__, self.origin)
        self._groups = [
            (f, g) for f, footer in enumerate(self._footers) for g in range(footer.num_row_groups)
        ]
        sizes = [self._footers[f].row_group(g).num_rows for f, g in self._groups]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.n_rows = int(self._starts[-1])
        self.bounds = _merged(self._starts, chunk_rows_for(self.row_bytes, self.n_rows))
        self.chunk_rows = max(1, int(np.diff(self.bounds).max(initial=0)))

    @classmethod
    def reads(cls, data: Any) -> bool:
        ending = ending_of(data)
        return ending in (".parquet", ".pq") or (ending == "" and Path(data).is_dir())

    def take(self, rows: slice | np.ndarray) -> Arrays:
        return take_by_range(self, rows, self._read)

    def _read(self, start: int, stop: int) -> Arrays:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = int(np.searchsorted(self._starts, stop, side="left"))
        parts = []
        for number in range(first, last):
            low = max(0, start - int(self._starts[number]))
            high = min(stop, int(self._starts[number + 1])) - int(self._starts[number])
            parts.append(self._read_group(*self._groups[number], low, high))
        return (
            parts[0]
            if len(parts) == 1
            else {name: np.concatenate([p[name] for p in parts]) for name in self.fields}
        )

    def _read_group(self, file: int, group: int, low: int, high: int) -> Arrays:
        path = self._paths[file]
        with reading(f"{path}, row group {group}", low, high):
            if path.stat().st_size == 0:
                raise EOFError("the file is empty")
            with self._parquet.ParquetFile(path, metadata=self._footers[file]) as opened:
                table: Any = opened.read_row_group(group, columns=names_in(self._columns)).slice(
                    low, high - low
                )
            return pack(
                self._columns,
                self.fields,
                high - low,
                lambda name: arrow_values(
                    table.column(name), name, self._column_fields[name], str(path)
                ),
            )


def _files(places: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that are meant by paths of files and folders."""
    several = [places] if isinstance(places, str | Path) else places
    is_list = isinstance(several, Sequence) and all(isinstance(p, str | Path) for p in several)
    if not is_list or "" in several:
        raise TypeError(f"path={places!r}: give a Parquet file, a folder of them, or a list.")
    paths = [Path(path) for path in several]
    files = [
        f for path in paths for f in (sorted(path.rglob("*.parquet")) if path.is_dir() else [path])
    ]
    missing = [str(file) for file in files if not file.is_file()]
    if missing or not files:
        raise FileNotFoundError(f"No Parquet file at {', '.join(missing) or places}.")
    return files


def _merged(starts: np.ndarray, wanted: int) -> np.ndarray:
    """Bounds of chunks of one or more row groups, ``wanted`` rows at most where groups allow it.

    ``starts`` are the first rows of the groups, then the number of rows, shape ``(groups + 1,)``.
    """
    bounds = [0]
    for before, after in pairwise(starts):
        if after - bounds[-1] > wanted and before > bounds[-1]:
            bounds.append(int(before))
    return np.array([*bounds, int(starts[-1])])
