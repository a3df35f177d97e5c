"""``vi.Minibatch``: tensors in a PyMC model that hold other rows of the data at every step."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pymc.pytensorf import rvs_in_graph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType

from vi.data.minibatches.batch_tensors import MinibatchIndex, TakeRows, row_data
from vi.data.minibatches.row_numbers import MAX_ROWS, Sampling
from vi.data.missing import check_nan_policy, drop_nan, refuse_nan
from vi.foundation.arguments import function, instance
from vi.foundation.arrays import dtype_from, plain_array, refuse_masked
from vi.foundation.lengths import refuse_lengths
from vi.foundation.numbers import check_flags, whole
from vi.graphs.self_advancing import Counter

__all__ = ["Minibatch"]

_streams = itertools.count(1)
"""Numbers for minibatches without a seed of their own: in one model they take different rows."""


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
    broadcastable: Any = None,
) -> Any:
    r"""Tensors that hold a batch of rows of data, other ones at every step.

    By default rows are shuffled anew every epoch and taken without replacement: the batch of step
    :math:`t` is positions :math:`tB, \dots, tB + B - 1` of the concatenated epochs, so that all
    batches have :math:`B` rows (one may go on into the next epoch), every row comes exactly once an
    epoch, and the log likelihood of a batch times
    :math:`N / B` is an unbiased estimate of that of the data. The order is computed from a key, not
    stored.

    In a model, give the likelihood its ``total_size=N``: a fit without it is refused. In a fit, the
    rows follow from the fit's seed and the step; everything else (``approx.sample``,
    ``approx.logp``, ...) uses all rows.

    Parameters
    ----------
    *arrays : array_like or Variable
        Data that share their rows: NumPy arrays, data frames, ``pm.Data`` containers, constants.
        Types are kept.
    batch_size : int or sequence
        Rows of a batch; or one entry an axis, each of them an int, ``(size, seed)``, ``None`` (the
        whole axis) or ``...`` (whole axes, as many as are left). Axes are drawn independently of
        each other. Two minibatches of the same length, size and seed hold the same rows.
    dtype : dtype, optional
        Type of the tensors; that of the data by default.
    random_seed : int, optional
        Makes the rows the same in every fit; by default they follow the fit's seed.
    replace : bool
        Whether to draw rows independently, with replacement.
    drop_last : bool
        Whether an epoch ends with its last full batch; the rows left out are other ones in every
        epoch.
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
    broadcastable : optional
        Without effect, a warning says so: which axes have length 1 follows from the data.

    Returns
    -------
    MinibatchVariable or tuple of them
        ``x.eval()`` is the next batch; ``x.set_value(new)`` and ``x.shared`` change the data
        without recompiling.

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
    ...     approx = vi.fit(2000, method="advi", random_seed=1, progressbar=False)
    >>> approx.mean.eval().round(1)
    array([ 1., -1.])
    """
    if in_memory_size is not None:
        raise TypeError(
            "in_memory_size is not supported: for data larger than memory give vi.fit(data=...) a "
            "stream of vi.data (memory maps, zarr, Parquet, generators)."
        )
    if broadcastable is not None:
        warnings.warn(
            "broadcastable= has no effect: which axes have length 1 follows from the data. Leave "
            "it out.",
            UserWarning,
            stacklevel=2,
        )
    if not arrays:
        raise TypeError(
            "vi.Minibatch needs at least one array: vi.Minibatch(X, y, batch_size=100)."
        )
    _check_draws(replace, drop_last, short_last)
    check_nan_policy("vi.Minibatch(nan", nan)
    if update_shared_f is not None:
        function("update_shared_f", update_shared_f, "a function that returns new data")
    if name is not None:
        instance("name", name, str, "a text")
    data = _as_data(arrays, None if dtype is None else dtype_from("dtype", dtype), nan)
    for variable in data:
        if isinstance(variable, SharedVariable):
            variable.tag.minibatch_update = (update_shared_f, data)
    counter = Counter(
        type=TensorType("int64", shape=()), value=np.asarray(0), strict=True, name="batches"
    )
    indices = [list[tuple[int, Any]]() for _ in data]  # of each array its axes and their rows
    seeds_used = 0
    for position, (size, seed) in _axes(batch_size, data).items():
        axes = [position if position >= 0 else variable.ndim + position for variable in data]
        lengths = [variable.shape[axis] for variable, axis in zip(data, axes, strict=True)]
        _check_lengths(data, axes, size)
        if seed is None and random_seed is not None:
            seed = whole("vi.Minibatch(random_seed", random_seed, 0)
            seed = [seed, axes[0]] if seeds_used else seed  # axes are drawn independently
            seeds_used += 1
        sampling = Sampling(size, bool(replace), bool(drop_last), bool(short_last))
        index = MinibatchIndex(sampling, None if seed is None else _words(seed), next(_streams))(
            counter, *lengths
        )
        for of_array, axis in zip(indices, axes, strict=True):
            of_array.append((axis, index))
    tensors = []
    for i, (variable, of_array) in enumerate(zip(data, indices, strict=True)):
        of_array.sort(key=lambda pair: pair[0])
        tensor = TakeRows(tuple(axis for axis, _ in of_array))(
            variable, *(index for _, index in of_array)
        )
        tensor.name = (
            f"minibatch.{i}" if name is None else name if len(data) == 1 else f"{name}.{i}"
        )
        tensors.append(tensor)
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def _check_draws(replace: Any, drop_last: Any, short_last: Any) -> None:
    """Refuse what are no switches of how rows are drawn, and two that are on."""
    check_flags(replace=replace, drop_last=drop_last, short_last=short_last)
    if sum((replace, drop_last, short_last)) > 1:
        raise ValueError("replace, drop_last and short_last exclude each other.")


def _as_data(arrays: Sequence[Any], dtype: Any, nan: str) -> list[Any]:
    """Symbolic data: shared variables for arrays, anything symbolic as it is.

    ``arrays`` have their rows first, shape ``(n_rows, ...)``; ``dtype`` and ``nan`` are those of
    :func:`Minibatch`. What comes out has the same shapes, but for rows that ``nan="drop"`` leaves
    out.
    """
    for i, array in enumerate(arrays):
        refuse_masked(array, f"Array {i} of vi.Minibatch")
    values = [
        array if isinstance(array, Variable) else plain_array(f"Array {i} of vi.Minibatch", array)
        for i, array in enumerate(arrays)
    ]
    for i, value in enumerate(values):
        if isinstance(value, Variable):
            if rvs_in_graph([value]):
                raise TypeError(
                    f"Array {i} of vi.Minibatch depends on random variables: {value}. Give data."
                )
        elif value.dtype.kind not in "fiub":
            raise TypeError(
                f"Array {i} of vi.Minibatch has the type {value.dtype}; real numbers in a dense "
                "array are accepted. Encode labels as integers (np.unique(labels, "
                "return_inverse=True)); sparse matrices need .toarray()."
            )
        elif dtype is not None and dtype.kind not in "fiub":
            raise TypeError(f"dtype={dtype}: give a type of real numbers.")
        elif dtype is not None and not np.can_cast(value.dtype, dtype, "same_kind"):
            raise TypeError(
                f"dtype={np.dtype(dtype)} would change the values of array {i}, which is "
                f"{value.dtype}."
            )
        if value.ndim == 0:
            raise ValueError(f"Array {i} of vi.Minibatch is a scalar: it has no rows.")
    concrete = {
        f"Array {i}": value for i, value in enumerate(values) if not isinstance(value, Variable)
    }
    lengths = {name: len(value) for name, value in concrete.items()}
    refuse_lengths("The arrays of vi.Minibatch", lengths)
    if nan == "drop":
        if len(concrete) < len(values):
            raise TypeError("nan='drop' needs arrays, not symbolic data.")
        values = list(drop_nan(concrete).values())
    elif nan == "raise":
        refuse_nan({f"{name} of vi.Minibatch": value for name, value in concrete.items()})
    return [
        (value if dtype is None else value.astype(dtype))
        if isinstance(value, Variable)
        else row_data(np.ascontiguousarray(value, dtype=dtype), nan)
        for value in values
    ]


def _axes(batch_size: Any, data: Sequence[Any]) -> dict[int, tuple[int, Any]]:
    """Size and seed of every axis that is drawn; axes after an ellipsis count from the end."""
    if isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool):
        return {0: (whole("vi.Minibatch(batch_size", batch_size, 1), None)}
    if isinstance(batch_size, str) or not isinstance(batch_size, Sequence):
        raise TypeError(
            f"batch_size={batch_size!r}: give a whole number, or a list with one entry an axis."
        )
    if (
        isinstance(batch_size, tuple)
        and len(batch_size) == 2
        and all(isinstance(b, int) for b in batch_size)
    ):
        raise TypeError(
            f"batch_size={batch_size} could be (size, seed) or two axes: write [{batch_size}] or "
            f"{list(batch_size)}."
        )
    entries = list(batch_size)
    dots = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise ValueError(f"batch_size={batch_size!r} has more than one Ellipsis.")
    fewest = min(variable.ndim for variable in data)
    if len(entries) - len(dots) > fewest:
        raise ValueError(
            f"batch_size={batch_size!r} has more entries than an array has axes ({fewest})."
        )
    axes = {}
    for i, entry in enumerate(entries):
        if entry is None or entry is Ellipsis:
            continue
        size, seed = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
        axes[i - len(entries) if dots and i > dots[0] else i] = (
            whole("vi.Minibatch(batch_size", size, 1),
            None if seed is None else whole("vi.Minibatch(batch_size: seed", seed, 0),
        )
    if not axes:
        raise ValueError(f"batch_size={batch_size!r} draws from no axis.")
    return axes


def _words(seed: Any) -> tuple[int, int]:
    """Two 32-bit words of a key, from a seed or a seed and an axis."""
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
            raise ValueError(
                f"batch_size={size} is larger than axis {axis} of the data, which has {n} entries."
            )
        if n > MAX_ROWS:
            raise ValueError(
                f"The data have {n} rows; at most {MAX_ROWS} can be numbered. Use a stream of "
                "vi.data."
            )
