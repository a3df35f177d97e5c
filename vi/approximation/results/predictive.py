"""After the fit: predictions and log likelihoods of all rows, at once or block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = [
    "BLOCK_ROWS",
    "by_rows",
    "compute_log_likelihood",
    "row_variables",
    "sample_posterior_predictive",
]

BLOCK_ROWS = 10_000


def sample_posterior_predictive(
    approx: Approximation, idata: Any, block_rows: int | None, **options: Any
) -> xr.DataTree:
    """The work of :meth:`vi.Approximation.sample_posterior_predictive`, which documents it."""
    idata = approx.sample(log_prob=False) if idata is None else idata
    # drawn for all rows, though a batch's length may be written in their shape
    local = [name for group in approx._local for name in group.variables]
    drawn = {"freeze_vars": local} if local else {}

    def predict(model: pm.Model, **more: Any) -> xr.DataTree:
        tree: xr.DataTree = pm.sample_posterior_predictive(
            idata, model=model, **({"progressbar": False} | drawn | options | more)
        )
        return tree

    return _joined(approx, predict, "posterior_predictive", block_rows)


def compute_log_likelihood(
    approx: Approximation, idata: Any, block_rows: int | None, **options: Any
) -> xr.DataTree:
    """The work of :meth:`vi.Approximation.compute_log_likelihood`, which documents it."""

    def compute(model: pm.Model, **more: Any) -> xr.DataTree:
        settings = {"progressbar": False} | options | more
        with _without_initial_values(model):
            made = pm.compute_log_likelihood(
                idata, model=model, extend_inferencedata=False, **settings
            )
        return xr.DataTree.from_dict(
            {"log_likelihood": made if isinstance(made, xr.Dataset) else made.to_dataset()}
        )

    group = _joined(approx, compute, "log_likelihood", block_rows)["log_likelihood"].to_dataset()
    idata["log_likelihood"] = xr.DataTree(group)
    tree: xr.DataTree = idata
    return tree


@contextmanager
def _without_initial_values(model: pm.Model) -> Iterator[None]:
    """A model without its initial values: PyMC refuses to copy it with them, and after a fit
    none is used.
    """
    kept = dict(model.rvs_to_initial_values)
    try:
        model.rvs_to_initial_values.update(dict.fromkeys(kept))
        yield
    finally:
        model.rvs_to_initial_values.update(kept)


def row_variables(approx: Approximation) -> set[str]:
    """Deterministics and observed variables that have streamed rows in them: their length is
    that of the stream.
    """
    from pytensor.graph.traversal import ancestors

    if approx._stream is None:
        return set()
    model = approx.model
    fed = {model[name] for name in approx._stream.fields}
    every = [*model.deterministics, *model.observed_RVs]
    return {v.name for v in every if fed & set(ancestors([v, model.rvs_to_values.get(v, v)]))}


def _joined(
    approx: Approximation, compute: Callable[..., xr.DataTree], group: str, block_rows: int | None
) -> xr.DataTree:
    """What PyMC computes from all rows; of streamed data in blocks that are put together along
    the rows.
    """
    if approx._stream is None:
        return compute(approx.full_model)
    rows = row_variables(approx)
    quick = {"compile_kwargs": {"mode": "FAST_COMPILE"}}  # every block compiles anew
    parts = [
        compute(approx.model, **quick)[group].to_dataset() for _ in by_rows(approx, block_rows)
    ]
    joined = {}
    for name, first in parts[0].data_vars.items():
        axis = first.ndim - approx.model[str(name)].ndim
        values = [part[name].to_numpy() for part in parts] if name in rows else [first.to_numpy()]
        joined[name] = (
            first.dims,
            np.concatenate(values, axis=axis) if name in rows else values[0],
        )
    coords = {dim: parts[0].coords[dim] for dim in ("chain", "draw")}
    return xr.DataTree.from_dict({group: xr.Dataset(joined, coords=coords, attrs=parts[0].attrs)})


def by_rows(approx: Approximation, block_rows: int | None = None) -> Iterator[tuple[int, int]]:
    """Put block after block of the stream's rows into the model's containers; yields first and
    last row number.
    """
    from vi.data import batches_of

    with _containers(approx) as put:
        for start, block in batches_of(approx._stream.source, block_rows or BLOCK_ROWS):
            n = len(next(iter(block.values())))
            put(block, start, start + n)
            yield start, start + n


@contextmanager
def _containers(
    approx: Approximation,
) -> Iterator[Callable[[dict[str, np.ndarray], int, int], None]]:
    """A way to put rows into the model's containers, which get their old values back in the end."""
    model = approx.model
    names = list(approx._stream.fields)
    dims = {name: (model.named_vars_to_dims.get(name) or (None,))[0] for name in names}
    before = {name: model[name].get_value() for name in names}
    labels = {
        dim: model.coords[dim]
        for dim in set(dims.values())
        if dim is not None and model.coords.get(dim)
    }

    def put(block: dict[str, np.ndarray], start: int, stop: int) -> None:
        coords = {dim: np.arange(start, stop) for dim in labels}
        pm.set_data({name: block[name] for name in names}, model=model, coords=coords)

    try:
        yield put
    finally:
        pm.set_data(before, model=model, coords=labels)
