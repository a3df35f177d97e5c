"""All rows of a stream, block by block, through the model's containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pymc as pm
from pytensor.graph.traversal import ancestors

from vi.approximation.record.fit_state import FitState
from vi.data import Stream, batches_of

__all__ = ["BLOCK_ROWS", "in_blocks", "row_variables"]

BLOCK_ROWS = 10_000
"""Rows at a time: PyMC holds the predictions of a block for all draws at once."""


def row_variables(fit: FitState) -> set[str]:
    """Names of deterministics and observed variables whose length is that of the stream."""
    if fit.data.stream is None:
        return set()
    model = fit.model
    containers = {model[name] for name in fit.data.stream.fields}
    variables = [*model.deterministics, *model.observed_RVs]
    return {
        v.name for v in variables if containers & set(ancestors([v, model.rvs_to_values.get(v, v)]))
    }


def in_blocks(fit: FitState, block_rows: int | None = None) -> Iterator[tuple[int, int]]:
    """Put block after block of rows into the model's containers.

    Yields the number of a block's first row, and of the one after its last.
    """
    stream = fit.data.stream
    assert stream is not None
    with _containers(fit.model, stream) as put:
        for start, block in batches_of(stream.source, block_rows or BLOCK_ROWS):
            n = len(next(iter(block.values())))
            put(block, start, start + n)
            yield start, start + n


@contextmanager
def _containers(
    model: pm.Model, stream: Stream
) -> Iterator[Callable[[dict[str, np.ndarray], int, int], None]]:
    """A way to put rows into the model's containers, which get their old values back in the end."""
    names = list(stream.fields)
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
