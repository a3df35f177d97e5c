"""What the data arguments of a fit mean: its own data, batches in their place, rows of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable

from vi.approximation.record.training_data import TrainingData
from vi.data import Minibatch, Stream, head, source_from
from vi.data.minibatches.batch_tensors import row_data
from vi.data.missing import refuse_nan
from vi.foundation.arrays import plain_array, refuse_masked
from vi.foundation.lengths import refuse_lengths
from vi.foundation.numbers import check_count
from vi.graphs.compiling import one_at_a_time
from vi.targets.batches.factors import check_scale
from vi.targets.batches.rows import StreamedRows
from vi.targets.batches.setting import GraphSetting

__all__ = ["training_data"]


@one_at_a_time
def training_data(
    model: pm.Model,
    replacements: Mapping[Any, Any],
    data: Any,
    batch_size: int | None,
    scale: Any,
    *,
    rewrite: bool,
    has_local: bool,
) -> TrainingData:
    """The data that the fits to come are made on.

    Parameters
    ----------
    model : pymc.Model
        The model, whose containers the rows are for.
    replacements, data, batch_size, scale
        The arguments of :meth:`vi.Inference.fit`.
    rewrite : bool
        Whether sums over rows are rewritten as sums over fewer.
    has_local : bool
        Whether variables have an entry for every row.

    Raises
    ------
    TypeError, ValueError
        If the rows and the model's containers do not fit together.
    """
    if batch_size is not None:
        check_count("batch_size", batch_size)
    check_scale(model, scale)
    if data is None:
        if batch_size is not None:
            raise TypeError(
                f"batch_size={batch_size} says how many rows of data= a step takes; give data=, or "
                "use vi.Minibatch."
            )
        return TrainingData(
            GraphSetting(True, dict(replacements), scale, rewrite=rewrite),
            GraphSetting(False, rewrite=rewrite),
        )
    if isinstance(data, Mapping) and not data:
        raise ValueError("data={} is empty; give rows by name, {'x': x}, or leave it out.")
    if _in_memory(data):
        shared = _shared(model, data)
        places: dict[Any, Any] = dict(shared)
        if batch_size is not None:
            batch = Minibatch(*shared.values(), batch_size=batch_size)
            batches = batch if isinstance(batch, tuple) else (batch,)
            places = dict(zip(shared, batches, strict=True))
        return TrainingData(
            GraphSetting(True, {**replacements, **places}, scale, compare=False, rewrite=rewrite),
            GraphSetting(False, shared, rewrite=rewrite),
        )
    if has_local:
        raise TypeError(
            "Local variables need data in memory, of which every row has its number; a stream of "
            "data= has none. Give fit a dict of arrays, or leave local and encoder out of the "
            "groups."
        )
    stream = _stream(data, batch_size)
    streamed = _streamed_rows(model, stream)
    return TrainingData(
        GraphSetting(True, dict(replacements), scale, streamed, compare=False, rewrite=rewrite),
        GraphSetting(False, rewrite=rewrite),
        stream=stream,
    )


def _stream(data: Any, batch_size: int | None) -> Stream:
    """The stream that is meant."""
    if isinstance(data, Stream):
        if batch_size not in (None, data.batch_size):
            raise ValueError(
                f"batch_size={batch_size}, but the stream has batches of {data.batch_size} rows."
            )
        return data
    source = source_from(data)
    if batch_size is None:
        raise TypeError(
            "data= needs batch_size=, the rows of a step (or a vi.data.Stream, which has one)."
        )
    return Stream(source, batch_size)


def _streamed_rows(model: pm.Model, stream: Stream) -> StreamedRows:
    """What takes the place of the containers that a stream feeds."""
    inputs = {}
    for name, field in stream.fields.items():
        container = _container(model, name)
        now = np.shape(container.get_value(borrow=True))
        if len(field.shape) + 1 != container.ndim or field.shape != now[1:]:
            raise ValueError(
                f"A row of {name!r} has shape {field.shape}, the model's pm.Data({name!r}) has "
                "rows of shape "
                f"{now[1:]}: "
                "the container must hold some rows of the same shape, pm.Data(name, "
                "vi.data.head(source, 100)[name])."
            )
        if not np.can_cast(field.dtype, container.dtype, "same_kind"):
            raise TypeError(
                f"Rows of {name!r} are {field.dtype}, the model's pm.Data({name!r}) "
                f"{container.dtype}."
            )
        inputs[name] = container.type(name=name)
    size = stream.batch_size
    sample = {
        name: np.asarray(values).astype(inputs[name].dtype)
        for name, values in head(stream.source, max(2 * size, 64)).items()
    }
    return StreamedRows(inputs, stream.n_rows, size, sample)


def _shared(model: pm.Model, data: Mapping[Any, Any]) -> dict[Any, Any]:
    """Arrays in memory as shared variables, by the container whose place they take."""
    for name, value in data.items():
        refuse_masked(value, f"data[{getattr(name, 'name', name)!r}]")
    arrays = {
        _container(model, name): plain_array(f"data[{getattr(name, 'name', name)!r}]", value)
        for name, value in data.items()
    }
    lengths = {
        container.name: len(array) if array.ndim else 0 for container, array in arrays.items()
    }
    refuse_lengths("The arrays of data=", lengths)
    empty = [name for name, array in lengths.items() if not array]
    if empty:
        raise ValueError(f"data[{empty[0]!r}] is empty: there must be one row at least.")
    for container, array in arrays.items():
        if array.ndim != container.ndim or not np.can_cast(
            array.dtype, container.dtype, "same_kind"
        ):
            raise TypeError(
                f"data[{container.name!r}] has {array.ndim} axes of {array.dtype}; the container "
                f"is {container.type}."
            )
        refuse_nan({f"data[{container.name!r}]": array}, "Leave such rows out.")
    return {
        container: row_data(np.ascontiguousarray(array, dtype=container.dtype))
        for container, array in arrays.items()
    }


def _in_memory(data: Any) -> bool:
    """Whether data are a dict of arrays in memory."""
    return isinstance(data, Mapping) and not any(
        isinstance(v, np.memmap | str | PathLike) for v in data.values()
    )


def _container(model: pm.Model, name: Any) -> Any:
    """The model's data container of that name."""
    containers = {v.name: v for v in model.data_vars if isinstance(v, SharedVariable)}
    key = getattr(name, "name", name)
    if key not in containers:
        known = ", ".join(map(repr, containers)) or "none"
        raise ValueError(
            f"data has rows for {key!r}, which is no pm.Data container of the model. Its "
            f"containers: {known}."
        )
    return containers[key]
