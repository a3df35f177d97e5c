"""Columns of tables: how they are packed into fields, and Arrow's as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, DataError, Field, check_dtype
from vi.foundation.arguments import check_mapping

__all__ = [
    "Columns",
    "arrow_field",
    "arrow_values",
    "columns_from",
    "fields_of",
    "names_in",
    "pack",
]

type Columns = dict[str, str | tuple[str, ...]]
"""Of each field the column, or the columns that are packed into vectors."""


def columns_from(
    wanted: Mapping[str, str | Sequence[str]] | None, names: Sequence[Any], origin: str
) -> Columns:
    """The columns of each field; by default each column is a field."""
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise TypeError(
            f"{origin}: column names must be strings, got {odd[0]!r}; rename them, in pandas by "
            "frame.rename(columns=str)."
        )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"{origin}: several columns are called {', '.join(map(repr, twice))}; give them other "
            "names."
        )
    if wanted is None:
        return {name: name for name in names}
    check_mapping("fields", wanted, "a dict of columns, {'x': ['a', 'b'], 'y': 'y'}")
    if not wanted:
        raise ValueError(
            f"{origin}: fields= is empty; name columns: fields={{'x': ['a', 'b'], 'y': 'y'}}."
        )
    columns: Columns = {name: c if isinstance(c, str) else tuple(c) for name, c in wanted.items()}
    for field, of_field in columns.items():
        missing = [name for name in _listed(of_field) if name not in names]
        if missing or not of_field:
            raise ValueError(
                f"{origin}: field {field!r} takes columns {missing}; there are {', '.join(names)}."
            )
    return columns


def names_in(columns: Columns) -> list[str]:
    """All columns that are read, each once."""
    return list(dict.fromkeys(name for wanted in columns.values() for name in _listed(wanted)))


def fields_of(columns: Columns, field_of: Callable[[str], Field], origin: str) -> dict[str, Field]:
    """The fields, from those of the columns; packed ones get the common dtype."""
    result = {}
    for name, wanted in columns.items():
        parts = [field_of(column) for column in _listed(wanted)]
        if isinstance(wanted, str):
            result[name] = parts[0]
        elif any(part.shape for part in parts):
            raise ValueError(
                f"{origin}: field {name!r} packs {wanted}, of which one holds vectors; take it "
                "alone."
            )
        else:
            result[name] = Field((len(parts),), np.result_type(*(part.dtype for part in parts)))
    return result


def pack(
    columns: Columns, fields: Mapping[str, Field], n: int, values: Callable[[str], np.ndarray]
) -> Arrays:
    """Fields of ``n`` rows from the values of columns."""
    result = {}
    for name, wanted in columns.items():
        field = fields[name]
        if isinstance(wanted, str):
            result[name] = np.array(values(wanted), field.dtype, order="C")
        else:
            result[name] = np.empty((n, len(wanted)), field.dtype)
            for k, column in enumerate(wanted):
                result[name][:, k] = values(column)
    return result


def arrow_field(kind: Any, name: str, origin: str) -> Field:
    """The field of an Arrow type: numbers, booleans, and lists of them of fixed size."""
    shape: tuple[int, ...] = ()
    inner = kind
    while hasattr(inner, "list_size"):
        shape, inner = (*shape, inner.list_size), inner.value_type
    try:
        dtype = np.dtype(inner.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        dtype = np.dtype(object)
    if dtype.kind == "O":
        raise TypeError(
            f"{origin}: column {name!r} has type {kind}; rows hold numbers. Convert it, or leave "
            "it out."
        )
    return Field(shape, check_dtype(dtype, name, origin))


def arrow_values(column: Any, name: str, field: Field, origin: str) -> np.ndarray:
    """The values of an Arrow column; nulls are NaN in floats, and an error elsewhere."""
    array, nulls = column.combine_chunks(), column.null_count
    for _ in field.shape:
        nulls = nulls or array.null_count
        array = array.flatten()
    if nulls and (field.dtype.kind != "f" or field.shape):
        raise DataError(
            f"{origin}: column {name!r} of type {column.type} has {nulls} nulls. Fill them, or "
            "make it a column of floats, where they are NaN."
        )
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(-1, *field.shape)


def _listed(wanted: str | tuple[str, ...]) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else wanted
