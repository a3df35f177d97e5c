"""What a fit's data are: the model's own, batches in their place, or rows from a stream."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from vi.data import Minibatch, Stream, head, source_from
from vi.data.minibatches.batch_tensors import row_data
from vi.data.missing import refuse_masked, refuse_nan
from vi.foundation.lengths import refuse_lengths
from vi.targets.batches.found import Fed
from vi.targets.batches.setting import Setting

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["bind", "lost_data"]


def bind(
    approx: Approximation,
    replacements: Mapping[Any, Any],
    data: Any,
    batch_size: int | None,
    scale: Any,
) -> None:
    """Say which data the fits to come are made on, and which everything else is.

    Raises
    ------
    TypeError, ValueError
        If the rows and the model's containers do not fit together.
    """
    setting, full, stream = Setting(True, dict(replacements), scale), Setting(training=False), None
    if data is None and batch_size is not None:
        raise TypeError(
            "batch_size says how many rows of data= a step takes; give data=, or use vi.Minibatch."
        )
    if data is not None and approx._local and not _in_memory(data):
        raise TypeError(
            "Local variables need data in memory, of which every row has its number; a stream of data= has none. Give "
            "fit a dict of arrays, or leave local and encoder out of the groups."
        )
    if data is not None and _in_memory(data):
        shared = _shared(approx, data)
        places: dict[Any, Any] = dict(shared)
        if batch_size is not None:
            made = Minibatch(*shared.values(), batch_size=batch_size)
            places = dict(zip(shared, made if isinstance(made, tuple) else (made,), strict=True))
        setting, full = (
            Setting(True, {**replacements, **places}, scale, compare=False),
            Setting(False, shared),
        )
    elif data is not None:
        stream = _stream(data, batch_size)
        setting = Setting(True, dict(replacements), scale, _fed(approx, stream), compare=False)
    approx._setting, approx._full, approx._stream, approx._missing = setting, full, stream, None


def lost_data(what: str, holder: str) -> str:
    """What is said where a fit cannot go on because its data were left behind."""
    return f"It was fitted with {what}, which a {holder} cannot hold: give it again, refine(n, {what.rstrip('=')}=...)."


def _stream(data: Any, batch_size: int | None) -> Stream:
    """The stream that is meant."""
    if isinstance(data, Stream):
        if batch_size not in (None, data.batch_size):
            raise ValueError(
                f"batch_size={batch_size}, but the stream has batches of {data.batch_size} rows."
            )
        return data
    if batch_size is None:
        raise TypeError(
            "data= needs batch_size=, the rows of a step (or a vi.data.Stream, which has one)."
        )
    return Stream(source_from(data), batch_size)


def _fed(approx: Approximation, stream: Stream) -> Fed:
    """What takes the place of the containers that a stream feeds."""
    inputs = {}
    for name, field in stream.fields.items():
        container = _container(approx, name)
        now = np.shape(container.get_value(borrow=True))
        if len(field.shape) + 1 != container.ndim or field.shape != now[1:]:
            raise ValueError(
                f"A row of {name!r} has shape {field.shape}, the model's pm.Data({name!r}) has rows of shape "
                f"{now[1:]}: "
                "the container must hold some rows of the same shape, pm.Data(name, vi.data.head(source, 100)[name])."
            )
        if not np.can_cast(field.dtype, container.dtype, "same_kind"):
            raise TypeError(
                f"Rows of {name!r} are {field.dtype}, the model's pm.Data({name!r}) {container.dtype}."
            )
        inputs[name] = container.type(name=name)
    size = stream.batch_size
    sample = {
        name: np.asarray(values).astype(inputs[name].dtype)
        for name, values in head(stream.source, max(2 * size, 64)).items()
    }
    return Fed(inputs, stream.n_rows, size, sample)


def _shared(approx: Approximation, data: Mapping[Any, Any]) -> dict[Any, Any]:
    """Arrays in memory as shared variables, by the container whose place they take."""
    for name, value in data.items():
        refuse_masked(f"data[{getattr(name, 'name', name)!r}]", value)
    arrays = {_container(approx, name): np.asarray(value) for name, value in data.items()}
    lengths = {
        container.name: len(array) if array.ndim else 0 for container, array in arrays.items()
    }
    refuse_lengths("The arrays of data=", lengths)
    for container, array in arrays.items():
        if array.ndim != container.ndim or not np.can_cast(
            array.dtype, container.dtype, "same_kind"
        ):
            raise TypeError(
                f"data[{container.name!r}] has {array.ndim} axes of {array.dtype}; the container is {container.type}."
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


def _container(approx: Approximation, name: Any) -> Any:
    """The model's data container of that name."""
    containers = {v.name: v for v in approx.model.data_vars if isinstance(v, SharedVariable)}
    key = getattr(name, "name", name)
    if key not in containers:
        known = ", ".join(map(repr, containers)) or "none"
        raise ValueError(
            f"data has rows for {key!r}, which is no pm.Data container of the model. Its containers: {known}."
        )
    return containers[key]
