"""The leaves of a log density's arguments: where a fit starts, and its data."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.arrays import plain_array, refuse_masked
from vi.foundation.lengths import refuse_lengths
from vi.models.constraints import path_name

__all__ = ["data_of", "leaves_of"]

BARE = "x"
"""The name of a variable that is the whole pytree."""


def leaves_of(init: Any) -> tuple[dict[str, np.ndarray], Any, np.dtype]:
    """The leaves by name, the structure, and the precision that follows from them."""
    if init is None:
        raise TypeError("A log density needs init=, a pytree of arrays where the fit starts.")
    pairs, structure = jax.tree_util.tree_flatten_with_path(init)
    if not pairs:
        raise TypeError(f"init={init!r} has no leaves; give a pytree of arrays.")
    start: dict[str, np.ndarray] = {}
    double = False
    for path, leaf in pairs:
        name = path_name(path) or BARE
        array = _array(name, leaf)
        double |= array.dtype == np.float64
        if name in start:
            raise ValueError(
                f"Two leaves of init have the path {name!r}. Give one of them another key."
            )
        start[name] = array
    dtype = np.dtype("float64" if double else "float32")
    return {name: array.astype(dtype) for name, array in start.items()}, structure, dtype


def _array(name: str, leaf: Any) -> np.ndarray:
    if isinstance(leaf, jax.core.Tracer):
        raise TypeError(f"init[{name!r}] is traced: call this outside of jit, grad and vmap.")
    refuse_masked(leaf, f"init[{name!r}]")
    if isinstance(leaf, float):
        leaf = jnp.asarray(leaf) if type(leaf) is float else np.asarray(leaf)
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | int):
        raise TypeError(
            f"init[{name!r}] is {type(leaf).__name__}; init must be a pytree of floating-point "
            "arrays."
        )
    kind = jnp.result_type(leaf)
    if not jnp.issubdtype(kind, jnp.floating):
        raise TypeError(
            f"init[{name!r}] has the type {kind}; parameters must be floating-point (1.0, not 1). "
            "What is no parameter belongs into data= or the function's closure."
        )
    array = np.asarray(leaf)
    array = array if array.dtype == np.float64 else array.astype("float32")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"init[{name!r}] is not finite: {np.array2string(array, threshold=6)}.")
    if not array.size:
        raise ValueError(f"init[{name!r}] has shape {array.shape}: it is empty.")
    return array


def data_of(data: Any, batch_size: int | None, dtype: np.dtype) -> tuple[list[np.ndarray], Any]:
    """The arrays of the data, floating ones in the precision of the fit, and their structure."""
    if data is None:
        if batch_size is not None:
            raise TypeError(
                f"batch_size={batch_size} says how many rows of data= a step takes; give data=, a "
                "pytree of arrays."
            )
        return [], None
    leaves, structure = jax.tree.flatten(data)
    arrays = [plain_array("A leaf of data", leaf) for leaf in leaves]
    for array in arrays:
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"data must be a pytree of arrays of real numbers, got one of {array.dtype}."
            )
    if not arrays:
        raise TypeError(f"data={data!r} has no leaves; give a pytree of arrays.")
    arrays = [
        array.astype(dtype, copy=False) if array.dtype.kind == "f" else array for array in arrays
    ]
    if batch_size is None:
        return arrays, structure
    lengths = {
        path_name(path) or "data": array.shape[0] if array.ndim else 0
        for (path, _), array in zip(jax.tree.leaves_with_path(data), arrays, strict=True)
    }
    refuse_lengths("Rows are drawn along the first axis of data. Its arrays", lengths)
    n = next(iter(lengths.values()))
    if batch_size > n:
        raise ValueError(f"batch_size={batch_size} is larger than the data, which have {n} rows.")
    return arrays, structure
