"""pandas and polars frames and Arrow tables as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vi.data.sources.base import (
    Arrays,
    DataError,
    Field,
    Source,
    check_dtype,
    chunk_rows_for,
    taken,
)
from vi.data.sources.columns import (
    arrow_field,
    arrow_values,
    columns_from,
    fields_of,
    names_in,
    pack,
)

__all__ = ["FrameSource", "is_frame"]

FRAMES = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "pyarrow",
}


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

    def __init__(
        self, frame: Any, *, fields: Mapping[str, str | Sequence[str]] | None = None
    ) -> None:
        if not is_frame(frame):
            advice = (
                "collect it first: frame.collect()"
                if type(frame).__name__ == "LazyFrame"
                else "got no table"
            )
            raise TypeError(
                f"{type(frame).__name__}: a frame is one of pandas, polars or Arrow in memory; {advice}."
            )
        kind = _kind(frame)
        self.origin = f"{kind} table"
        self._frame, self._values = frame, READERS[kind]
        names = frame.column_names if kind == "pyarrow" else list(frame.columns)
        self._columns = columns_from(fields, names, self.origin)
        self._column_fields = {name: self._field(name) for name in names_in(self._columns)}
        self.fields = fields_of(self._columns, self._column_fields.__getitem__, self.origin)
        self.n_rows = len(frame)
        self.chunk_rows = chunk_rows_for(self.row_bytes, self.n_rows)

    def take(self, rows: slice | np.ndarray) -> Arrays:
        return taken(self, rows, self._read)

    def _read(self, start: int, stop: int) -> Arrays:
        def values(name: str) -> np.ndarray:
            return self._values(self._frame, name, start, stop, self._column_fields[name])

        return pack(self._columns, self.fields, stop - start, values)

    def _field(self, name: str) -> Field:
        if _kind(self._frame) == "pyarrow":
            return arrow_field(self._frame.schema.field(name).type, name, self.origin)
        if _kind(self._frame) == "polars":
            sample = self._frame.clear()[name].to_numpy()
            return Field(sample.shape[1:], check_dtype(sample.dtype, name, self.origin))
        dtype = self._frame.dtypes[name]
        numpy_dtype = np.dtype(
            getattr(dtype, "numpy_dtype", dtype if isinstance(dtype, np.dtype) else object)
        )
        return Field((), check_dtype(numpy_dtype, name, self.origin))


def is_frame(given: Any) -> bool:
    """Whether it is a table in memory of one of the three packages."""
    return _kind(given) is not None


def _kind(given: Any) -> str | None:
    return FRAMES.get((type(given).__module__.partition(".")[0], type(given).__name__))


def _pandas(frame: Any, name: str, start: int, stop: int, field: Field) -> np.ndarray:
    column = frame[name].iloc[start:stop]
    if field.dtype.kind != "f" and column.isna().any():
        raise _missing("pandas", name, str(column.dtype))
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column)
    return np.asarray(
        column.to_numpy(field.dtype, na_value=np.nan if field.dtype.kind == "f" else 0)
    )


def _polars(frame: Any, name: str, start: int, stop: int, field: Field) -> np.ndarray:
    column = frame[name].slice(start, stop - start)
    values = column.to_numpy()
    if values.dtype != field.dtype:  # nulls turn integers into floats or objects
        raise _missing("polars", name, str(column.dtype))
    return np.asarray(values)


def _pyarrow(frame: Any, name: str, start: int, stop: int, field: Field) -> np.ndarray:
    return arrow_values(frame.column(name).slice(start, stop - start), name, field, "pyarrow table")


def _missing(kind: str, name: str, dtype: str) -> DataError:
    return DataError(
        f"{kind} table: column {name!r} of type {dtype} has missing values. Fill them, or make it a column of floats, "
        "where they are NaN."
    )


READERS: dict[str | None, Callable[[Any, str, int, int, Field], np.ndarray]] = {
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
"""What reads consecutive values of a column, by the package of the table."""
