"""pandas and polars frames and Arrow tables as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vi.data.sources.base import Arrays, DataError, Field, Source, check_dtype
from vi.data.sources.columns import (
    arrow_field,
    arrow_values,
    columns_from,
    fields_of,
    names_in,
    pack,
)
from vi.data.sources.reading import chunk_rows_for, take_by_range
from vi.data.sources.registry import register_source

__all__ = ["FrameSource"]

# The three packages share a protocol, `__arrow_c_stream__`, and one reader of it would be
# `pyarrow.table(frame)`. It would be no shorter: pyarrow is an optional package, and frames of
# pandas and polars are read without it, so that their own readers had to stay beside that one.


@register_source
class FrameSource(Source):
    """A table in memory, converted piece by piece: the frame itself is not copied.

    Missing values are NaN in columns of floats, and an error in others.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The table.
    fields : mapping of str to str or sequence of str, optional
        The column of each field, or the columns that are packed into a vector; by default each
        column is a field.

    Raises
    ------
    TypeError
        If it is not such a table, or a column does not hold numbers.
    ValueError
        If a column is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "label": [0, 1]})
    >>> FrameSource(frame, fields={"x": ["a", "b"], "y": "label"}).take(slice(1, 2))["x"]
    array([[2., 4.]])
    """

    accepts = "a table of pandas, polars or Arrow"

    def __init__(
        self, frame: Any, *, fields: Mapping[str, str | Sequence[str]] | None = None
    ) -> None:
        package = PACKAGES.get(_kind(frame))
        if package is None:
            lazy = _kind(frame) == LAZY
            advice = "collect it first: frame.collect()" if lazy else "got no table"
            raise TypeError(
                f"{type(frame).__name__}: a frame is one of pandas, polars or Arrow in memory; "
                f"{advice}."
            )
        self._frame, self._package = frame, package
        self.origin = f"{_kind(frame)[0]} table"
        self._columns = columns_from(fields, package.names(frame), self.origin)
        self._column_fields = {
            name: package.field(frame, name, self.origin) for name in names_in(self._columns)
        }
        self.fields = fields_of(self._columns, self._column_fields.__getitem__, self.origin)
        self.n_rows = len(frame)
        self.chunk_rows = chunk_rows_for(self.row_bytes, self.n_rows)

    @classmethod
    def reads(cls, data: Any) -> bool:
        return _kind(data) in (*PACKAGES, LAZY)  # of a lazy one, the error says what to do

    def take(self, rows: slice | np.ndarray) -> Arrays:
        return take_by_range(self, rows, self._read)

    def _read(self, start: int, stop: int) -> Arrays:
        def values(name: str) -> np.ndarray:
            return self._package.values(self._frame, name, start, stop, self._column_fields[name])

        return pack(self._columns, self.fields, stop - start, values)


def _kind(frame: Any) -> tuple[str, str]:
    """Package and class of an object, without importing a package that may not be installed."""
    return type(frame).__module__.partition(".")[0], type(frame).__name__


def _pandas_field(frame: Any, name: str, origin: str) -> Field:
    dtype = frame.dtypes[name]
    # pandas' own types (Int64) have a NumPy type inside; what has none is refused as an object
    plain = dtype if isinstance(dtype, np.dtype) else getattr(dtype, "numpy_dtype", object)
    return Field((), check_dtype(np.dtype(plain), name, origin))


def _pandas_values(frame: Any, name: str, start: int, stop: int, field: Field) -> np.ndarray:
    column = frame[name].iloc[start:stop]
    if field.dtype.kind != "f" and column.isna().any():
        raise _missing("pandas", name, str(column.dtype))
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column)
    return np.asarray(
        column.to_numpy(field.dtype, na_value=np.nan if field.dtype.kind == "f" else 0)
    )


def _polars_field(frame: Any, name: str, origin: str) -> Field:
    sample = frame.clear()[name].to_numpy()
    return Field(sample.shape[1:], check_dtype(sample.dtype, name, origin))


def _polars_values(frame: Any, name: str, start: int, stop: int, field: Field) -> np.ndarray:
    column = frame[name].slice(start, stop - start)
    values = column.to_numpy()
    if values.dtype != field.dtype:  # nulls turn integers into floats or objects
        raise _missing("polars", name, str(column.dtype))
    return np.asarray(values)


def _arrow_field(frame: Any, name: str, origin: str) -> Field:
    return arrow_field(frame.schema.field(name).type, name, origin)


def _arrow_values(frame: Any, name: str, start: int, stop: int, field: Field) -> np.ndarray:
    return arrow_values(frame.column(name).slice(start, stop - start), name, field, "pyarrow table")


def _missing(package: str, name: str, dtype: str) -> DataError:
    return DataError(
        f"{package} table: column {name!r} of type {dtype} has missing values. Fill them, or make "
        "it a column of floats, where they are NaN."
    )


class _Package(NamedTuple):
    """How tables of a package are read.

    ``names(frame)`` are those of the columns, ``field(frame, name, origin)`` is what a column
    holds, ``values(frame, name, start, stop, field)`` are its consecutive values, shape
    ``(stop - start, *field.shape)``.
    """

    names: Callable[[Any], list[Any]]
    field: Callable[[Any, str, str], Field]
    values: Callable[[Any, str, int, int, Field], np.ndarray]


PACKAGES = {
    ("pandas", "DataFrame"): _Package(lambda f: list(f.columns), _pandas_field, _pandas_values),
    ("polars", "DataFrame"): _Package(lambda f: list(f.columns), _polars_field, _polars_values),
    ("pyarrow", "Table"): _Package(lambda f: list(f.column_names), _arrow_field, _arrow_values),
}
"""The tables that are read, by package and class."""

LAZY = ("polars", "LazyFrame")
