"""``vi.Minibatch``: tensors that hold other rows of the data at every step, to be used in a PyMC model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.pytensorf import rvs_in_graph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.tensor.exceptions import ShapeError
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType
from pytensor.tensor.variable import TensorVariable

from vi.data.nans import check_nan_policy, rows_with_nan, without_nan_rows
from vi.data.permutation import MAX_ROWS, Sampling, row_numbers, short_steps
from vi.object_mode import in_object_mode
from vi.precision import guard_jax_config

with guard_jax_config():
    from pytensor.link.jax.dispatch import jax_funcify

__all__ = ["Minibatch", "MinibatchIndex", "MinibatchVariable", "TakeRows", "is_row_data", "refuse_masked", "row_data"]

_streams = itertools.count(1)


def Minibatch(  # PyMC's name
    *arrays: Any,
    batch_size: int | Sequence[Any],
    dtype: Any = None,
    random_seed: int | None = None,
    replace: bool = False,
    drop_last: bool = False,
    short_last: bool = False,
    nan: str = "raise",
    name: str | None = None,
    update_shared_f: Callable[[], Any] | None = None,
    in_memory_size: Any = None,
) -> Any:
    r"""Tensors that hold a batch of rows of data, other ones at every step.

    By default rows are shuffled anew every epoch and taken without replacement: the batch of step :math:`t` is
    positions :math:`tB, \dots, tB + B - 1` of the concatenated epochs, so that all batches have :math:`B` rows (one may
    go on into the next epoch), every row comes exactly once an epoch, and the log likelihood of a batch times
    :math:`N / B` is an unbiased estimate of that of the data. The order is computed from a key, not stored.

    In a model, give the likelihood its ``total_size=N``: a fit without it is refused. In a fit, the rows follow from
    the fit's seed and the step; everything else (``approx.sample``, ``approx.logp``, ...) uses all rows.

    Parameters
    ----------
    *arrays : array_like or Variable
        Data that share their rows: NumPy arrays, data frames, ``pm.Data`` containers, constants. Types are kept.
    batch_size : int or sequence
        Rows of a batch; or one entry an axis, each of them an int, ``(size, seed)``, ``None`` (the whole axis) or
        ``...`` (whole axes, as many as are left). Axes are drawn independently of each other. Two minibatches of the
        same length, size and seed hold the same rows.
    dtype : dtype, optional
        Type of the tensors; that of the data by default.
    random_seed : int, optional
        Makes the rows the same in every fit; by default they follow the fit's seed.
    replace : bool
        Whether to draw rows independently, with replacement.
    drop_last : bool
        Whether an epoch ends with its last full batch; the rows left out are other ones in every epoch.
    short_last : bool
        Whether an epoch's last batch is shorter, scaled by :math:`N / B'`.
    nan : {"raise", "drop", "allow"}
        What to do about rows with NaN in a float array.
    name : str, optional
        Name of the tensors (numbered if there are several).
    update_shared_f : callable, optional
        Returns new data (a tuple for several arrays) when ``x.update_shared()`` is called.
    in_memory_size : None
        Not supported; see :mod:`vi.data` for data larger than memory.

    Returns
    -------
    MinibatchVariable or tuple of them
        ``x.eval()`` is the next batch; ``x.set_value(new)`` and ``x.shared`` change the data without recompiling.

    Raises
    ------
    ValueError
        If lengths differ, a size is not positive or larger than its axis, or there are NaNs.
    TypeError
        If something has the wrong type, or an array depends on random variables.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> rng = np.random.default_rng(1)
    >>> X = rng.normal(size=(10_000, 2))
    >>> y = X @ [1.0, -1.0] + rng.normal(size=10_000)
    >>> x_batch, y_batch = vi.Minibatch(X, y, batch_size=100)
    >>> x_batch.eval().shape
    (100, 2)
    >>> with pm.Model():
    ...     beta = pm.Normal("beta", 0.0, 10.0, shape=2)
    ...     likelihood = pm.Normal("y", x_batch @ beta, 1.0, observed=y_batch, total_size=10_000)
    ...     approx = vi.fit(2000, random_seed=1, progressbar=False)
    >>> approx.mean.eval().round(1)
    array([ 1., -1.])
    """
    if in_memory_size is not None:
        raise TypeError(
            "in_memory_size is not supported: for data larger than memory give vi.fit(data=...) a stream of vi.data "
            "(memory maps, zarr, Parquet, generators)."
        )
    if not arrays:
        raise TypeError("vi.Minibatch needs at least one array: vi.Minibatch(X, y, batch_size=100).")
    if sum(map(bool, (replace, drop_last, short_last))) > 1:
        raise ValueError("replace, drop_last and short_last exclude each other.")
    check_nan_policy(nan)
    if update_shared_f is not None and not callable(update_shared_f):
        raise TypeError(f"update_shared_f must be callable, got {update_shared_f!r}.")
    data = _as_data(arrays, dtype, nan)
    for variable in data:
        if isinstance(variable, SharedVariable):
            variable.tag.minibatch_update = (update_shared_f, data)
    counter = _Counter(type=TensorType("int64", shape=()), value=np.asarray(0), strict=True, name="batches")
    made = [list[tuple[int, Any]]() for _ in data]
    seeds_used = 0
    for position, (size, seed) in _axes(batch_size, data).items():
        axes = [position if position >= 0 else variable.ndim + position for variable in data]
        lengths = [variable.shape[axis] for variable, axis in zip(data, axes, strict=True)]
        _check_lengths(data, axes, size)
        if seed is None and random_seed is not None:
            seed = (
                _whole(random_seed, "random_seed") if not seeds_used else [_whole(random_seed, "random_seed"), axes[0]]
            )
            seeds_used += 1
        sampling = Sampling(size, bool(replace), bool(drop_last), bool(short_last))
        index = MinibatchIndex(sampling, None if seed is None else _words(seed), next(_streams))(counter, *lengths)
        for own, axis in zip(made, axes, strict=True):
            own.append((axis, index))
    tensors = []
    for i, (variable, taken) in enumerate(zip(data, made, strict=True)):
        taken.sort(key=lambda pair: pair[0])
        tensor = TakeRows(tuple(axis for axis, _ in taken))(variable, *(index for _, index in taken))
        tensor.name = f"minibatch.{i}" if name is None else name if len(data) == 1 else f"{name}.{i}"
        tensors.append(tensor)
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


class MinibatchVariable(TensorVariable):
    """A tensor of the rows of a batch; see :func:`vi.Minibatch`."""

    @property
    def shared(self) -> Any:
        """The shared variable that holds all the data."""
        data = self.owner.inputs[0]
        if not isinstance(data, SharedVariable):
            raise TypeError(f"This minibatch was made from {data}, which is no array that could be changed.")
        return data

    def set_value(self, value: Any) -> None:
        """Replace the data; nothing is compiled again. Arrays that share rows must keep the same length."""
        _replace(self.shared, value)

    def update_shared(self) -> None:
        """Replace the data by what ``update_shared_f`` returns."""
        function, data = getattr(self.shared.tag, "minibatch_update", (None, ()))
        if function is None:
            raise TypeError("This minibatch has no update_shared_f; use set_value(new).")
        new = function()
        values = (new,) if len(data) == 1 else tuple(new)
        if len(values) != len(data):
            raise ValueError(f"update_shared_f returned {len(values)} arrays, the minibatch has {len(data)}.")
        for variable, value in zip(data, values, strict=True):
            _replace(variable, value)


class MinibatchIndex(Op):
    """Row numbers of a batch, from a counter of batches and the length of every array that shares the rows.

    Parameters
    ----------
    sampling : Sampling
        How rows are chosen.
    words : tuple of two int, or None
        Key of the rows; ``None`` where the fit's seed decides.
    stream : int
        Tells minibatches without a key apart.
    """

    __props__ = ("sampling", "words", "stream")

    def __init__(self, sampling: Sampling, words: tuple[int, int] | None, stream: int) -> None:
        self.sampling = sampling
        self.words = words
        self.stream = 0 if words is not None else stream
        self._own = np.asarray(np.random.SeedSequence().generate_state(2) if words is None else words, np.uint32)

    def make_node(self, counter: Any, *lengths: Any) -> Apply:
        inputs = [counter, *(pt.as_tensor(length, dtype="int64") for length in lengths)]
        return Apply(self, inputs, [TensorType("int64", shape=(None,))("rows")])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        step, n = int(inputs[0]), int(inputs[1])
        if any(int(length) != n for length in inputs[2:]):
            raise ValueError(
                f"Arrays of one minibatch have different lengths: {[int(length) for length in inputs[1:]]}."
            )
        if self.sampling.size > n:
            raise ValueError(f"batch_size={self.sampling.size} is larger than the data, which have {n} rows.")
        rows = row_numbers(self._own, self.stream, step, n, self.sampling, np).astype(np.int64)
        if self.sampling.short_last and short_steps(np.uint32(step), n, self.sampling):
            rows = rows[: self.sampling.last_size(n)]
        outputs[0][0] = rows

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        raise ShapeError("a length that is known would be fixed in what is written with it, where all rows come later")

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] for _ in node.inputs]

    def do_constant_folding(self, fgraph: Any, node: Apply) -> bool:
        return False


class TakeRows(Op):
    """Entries of data along some axes.

    Parameters
    ----------
    axes : tuple of int
        The axes, one for each vector of indices.
    """

    __props__ = ("axes",)

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def make_node(self, data: Any, *indices: Any) -> Apply:
        shape = tuple(None if axis in self.axes else n for axis, n in enumerate(data.type.shape))
        output: Any = MinibatchVariable(type=TensorType(data.type.dtype, shape=shape), owner=None)
        return Apply(self, [data, *indices], [output])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        data, *indices = inputs
        for axis, index in zip(self.axes, indices, strict=True):
            data = np.take(data, index, axis=axis)
        outputs[0][0] = data

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        own = list(shapes[0])
        for axis, index in zip(self.axes, shapes[1:], strict=True):
            own[axis] = index[0]
        return [tuple(own)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] for _ in node.inputs]

    def symbolic(self, data: Any, indices: Sequence[Any]) -> Any:
        """The same as plain indexing, which every backend compiles."""
        for axis, index in zip(self.axes, indices, strict=True):
            data = data[(*(slice(None),) * axis, index)]
        return data


in_object_mode(MinibatchIndex)
in_object_mode(TakeRows)


@jax_funcify.register(MinibatchIndex)
def _index_to_jax(op: MinibatchIndex, node: Apply, **_: Any) -> Callable[..., Any]:
    def rows(counter: Any, *lengths: Any) -> Any:
        def on_host(*inputs: Any) -> np.ndarray:
            outputs = [[None]]
            op.perform(node, inputs, outputs)
            return np.asarray(outputs[0][0], shape.dtype)

        shape = jax.ShapeDtypeStruct((op.sampling.size,), jax.dtypes.canonicalize_dtype(np.int64))
        return jax.pure_callback(on_host, shape, counter, *lengths)

    return rows


@jax_funcify.register(TakeRows)
def _take_to_jax(op: TakeRows, **_: Any) -> Callable[..., Any]:
    return lambda data, *indices: op.symbolic(data, indices)


class _Counter(TensorSharedVariable):
    """A number that every compiled function adds one to; PyTensor reads ``default_update`` when it compiles."""

    _following: Any = None

    @property
    def default_update(self) -> Any:
        if self._following is None:
            self._following = self + 1
        return self._following

    @default_update.setter
    def default_update(self, value: Any) -> None:
        self._following = value


def _as_data(arrays: Sequence[Any], dtype: Any, nan: str) -> list[Any]:
    """Symbolic data: shared variables for arrays, anything symbolic as it is."""
    for i, array in enumerate(arrays):
        refuse_masked(array, f"Array {i} of vi.Minibatch")
    values = [array if isinstance(array, Variable) else np.asarray(array) for array in arrays]
    for i, value in enumerate(values):
        if isinstance(value, Variable):
            if rvs_in_graph([value]):
                raise TypeError(f"Array {i} of vi.Minibatch depends on random variables: {value}. Give data.")
        elif value.dtype.kind not in "fiub":
            raise TypeError(
                f"Array {i} of vi.Minibatch has the type {value.dtype}; real numbers in a dense array are accepted. "
                "Encode labels as integers (np.unique(labels, return_inverse=True)); sparse matrices need "
                ".toarray()."
            )
        elif dtype is not None and not np.can_cast(value.dtype, dtype, "same_kind"):
            raise TypeError(f"dtype={np.dtype(dtype)} would change the values of array {i}, which is {value.dtype}.")
        if value.ndim == 0:
            raise ValueError(f"Array {i} of vi.Minibatch is a scalar: it has no rows.")
    concrete = [value for value in values if not isinstance(value, Variable)]
    if len({len(value) for value in concrete}) > 1:
        raise ValueError(
            f"The arrays of vi.Minibatch have different lengths: {', '.join(str(len(v)) for v in concrete)}. "
            "Rows that belong together must be given in every array."
        )
    if nan == "drop":
        if len(concrete) < len(values):
            raise TypeError("nan='drop' needs arrays, not symbolic data.")
        values = without_nan_rows(dict(enumerate(concrete)))
    elif nan == "raise":
        _refuse_nan(concrete)
    made = []
    for value in values:
        if isinstance(value, Variable):
            made.append(value if dtype is None else value.astype(dtype))
        else:
            made.append(row_data(np.ascontiguousarray(value, dtype=dtype), nan))
    return made


def _replace(shared: Any, value: Any) -> None:
    """Put other data into a shared variable, under the conditions of the first ones."""
    refuse_masked(value, "The new value")
    array = np.asarray(value)
    if array.ndim != shared.ndim or not np.can_cast(array.dtype, shared.dtype, "same_kind"):
        raise TypeError(f"The data are {shared.type}, the new value has {array.ndim} axes of {array.dtype}.")
    if is_row_data(shared) and shared.tag.minibatch_nan == "raise":
        _refuse_nan([array])
    array = np.ascontiguousarray(array, dtype=shared.dtype)
    same = array is shared.get_value(borrow=True)  # changed in place: only another array is seen to be another
    shared.set_value(array.copy() if same else array, borrow=True)


def row_data(array: np.ndarray, nan: str = "raise") -> Any:
    """An array as a shared variable that is known to hold rows: it is moved to a device once, not for every run."""
    shared = pytensor.shared(array, borrow=True, name="data")
    shared.tag.minibatch_nan = "allow" if nan == "allow" else "raise"
    return shared


def is_row_data(variable: Any) -> bool:
    """Whether a shared variable was made by :func:`row_data`."""
    return hasattr(variable.tag, "minibatch_nan")


def refuse_masked(array: Any, what: str) -> None:
    """Refuse masked arrays: what is under the mask would be read as data."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            f"{what} is a masked array. Fill its gaps or leave those rows out: imputing needs all the rows."
        )


def _refuse_nan(arrays: Sequence[np.ndarray]) -> None:
    for i, array in enumerate(arrays):
        bad = rows_with_nan(array)
        if len(bad):
            raise ValueError(
                f"Array {i} of vi.Minibatch has NaN in {len(bad)} of {len(array)} rows, first in "
                f"{', '.join(map(str, bad[:5]))}. nan='drop' leaves such rows out; nan='allow' keeps them."
            )


def _axes(batch_size: Any, data: Sequence[Any]) -> dict[int, tuple[int, Any]]:
    """Size and seed of every axis that is drawn; axes after an ellipsis count from the end."""
    if isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool):
        return {0: (_size(batch_size), None)}
    if isinstance(batch_size, str) or not isinstance(batch_size, Sequence):
        raise TypeError(f"batch_size={batch_size!r}: give a whole number, or a list with one entry an axis.")
    if isinstance(batch_size, tuple) and len(batch_size) == 2 and all(isinstance(b, int) for b in batch_size):
        raise TypeError(
            f"batch_size={batch_size} could be (size, seed) or two axes: write [{batch_size}] or {list(batch_size)}."
        )
    entries = list(batch_size)
    dots = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise ValueError(f"batch_size={batch_size!r} has more than one Ellipsis.")
    fewest = min(variable.ndim for variable in data)
    if len(entries) - len(dots) > fewest:
        raise ValueError(f"batch_size={batch_size!r} has more entries than an array has axes ({fewest}).")
    axes = {}
    for i, entry in enumerate(entries):
        if entry is None or entry is Ellipsis:
            continue
        size, seed = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
        axes[i - len(entries) if dots and i > dots[0] else i] = (
            _size(size),
            None if seed is None else _whole(seed, "a seed in batch_size"),
        )
    if not axes:
        raise ValueError(f"batch_size={batch_size!r} draws from no axis.")
    return axes


def _size(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ValueError(f"batch_size: {size!r} is not a whole number of at least 1.")
    return int(size)


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{what} must be a whole number of at least 0, got {value!r}.")
    return int(value)


def _words(seed: Any) -> tuple[int, int]:
    first, second = np.random.SeedSequence(seed).generate_state(2)
    return int(first), int(second)


def _check_lengths(data: Sequence[Any], axes: Sequence[int], size: int) -> None:
    """Refuse sizes that known lengths cannot serve."""
    for variable, axis in zip(data, axes, strict=True):
        n = (
            variable.get_value(borrow=True).shape[axis]
            if isinstance(variable, SharedVariable)
            else variable.type.shape[axis]
        )
        if n is None:
            continue
        if size > n:
            raise ValueError(f"batch_size={size} is larger than axis {axis} of the data, which has {n} entries.")
        if n > MAX_ROWS:
            raise ValueError(f"The data have {n} rows; at most {MAX_ROWS} can be numbered. Use a stream of vi.data.")
