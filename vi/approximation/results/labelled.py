"""Moments of q by name, with the dims and labels of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import mean_and_std
from vi.targets.model.labels import dims_that_fit, labels_and_dims

__all__ = ["labelled_mean", "labelled_std"]


def labelled_mean(fit: FitState) -> xr.Dataset:
    """Mean of q by the names of the unconstrained values (``"sigma_log__"``).

    Returns
    -------
    xarray.Dataset
        With the dims and labels of the model, where a value has the lengths of its variable: a
        simplex has an entry less.
    """
    return _labelled(fit, mean_and_std(fit)[0])


def labelled_std(fit: FitState) -> xr.Dataset:
    """Standard deviations of q by the names of the unconstrained values, as the mean."""
    return _labelled(fit, mean_and_std(fit)[1])


def _labelled(fit: FitState, flat: np.ndarray) -> xr.Dataset:
    values = {
        slot.value_name: flat[slot.slice].reshape(slot.shape).astype(fit.dtype)
        for slot in fit.layout
    }
    labels, named = labels_and_dims(fit.model)
    shapes = {name: value.shape for name, value in values.items()}
    dims: dict[str, Any] = dims_that_fit(shapes, labels, named)
    arrays = {}
    for name, value in values.items():
        own = [None] * value.ndim if dims.get(name) is None else dims[name]
        axes = [f"{name}_dim_{i}" if dim is None else dim for i, dim in enumerate(own)]
        coords = {dim: labels[dim] for dim in axes if labels.get(dim) is not None}
        arrays[name] = xr.DataArray(value, coords=coords, dims=axes)
    return xr.Dataset(arrays)
