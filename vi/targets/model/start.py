"""Where a fit starts: the model's initial point, with the user's values in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.initial_point import make_initial_point_fn

from vi.foundation.layout import Layout
from vi.graphs.compiling import compiling
from vi.targets.model.checks import check_mapping, check_start, real_numbers
from vi.targets.model.shapes import initial_point, rv_shapes

__all__ = ["not_given", "start_point", "start_std"]

START_STD = float(np.log(2.0))
"""softplus(0), PyMC's start."""


def start_point(
    model: pm.Model, start: Mapping[str, Any] | None, seed: int
) -> dict[str, np.ndarray]:
    """A point of the model by value name, with start values in their places.

    Constrained ones are transformed, unconstrained ones taken as they are.
    """
    if start is None:
        return initial_point(model, seed)
    check_mapping(start, "start")
    by_name: dict[str, Any] = {}
    for name, value in start.items():
        key = getattr(name, "name", name)
        if key in by_name:
            raise ValueError(f"start has two values for {key!r}; leave one out.")
        by_name[key] = _aligned(model, name, value)
    start = by_name
    check_start(model, start)
    _check_once(model, start, "start")
    names = {variable.name for variable in model.free_RVs}
    shapes = rv_shapes(model)
    overrides = {
        name: value
        if isinstance(value, str)
        else np.broadcast_to(real_numbers(value, name), shapes[name]).copy()
        for name, value in start.items()
        if name in names
    }
    with compiling():
        function = make_initial_point_fn(
            model=model, overrides=overrides, jitter_rvs=set(), return_transformed=True
        )
        point = dict(function(seed))
    _check_support(model, overrides, point)
    for name, value in start.items():
        if name not in names:
            point[name] = np.broadcast_to(
                np.asarray(value, point[name].dtype), point[name].shape
            ).copy()
    return point


def _check_once(model: pm.Model, names: Iterable[str], argument: str) -> None:
    """Refuse two values for one variable: the constrained and the unconstrained one."""
    given = set(names)
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        if variable.name != value.name and {variable.name, value.name} <= given:
            raise ValueError(
                f"{argument} has two values for one variable, {variable.name!r} and "
                f"{value.name!r}; leave one out."
            )


def _check_support(
    model: pm.Model, overrides: Mapping[str, Any], point: Mapping[str, np.ndarray]
) -> None:
    """Refuse start values that the variable's transform cannot take."""
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        if variable.name in overrides and not np.all(np.isfinite(point[value.name])):
            raise ValueError(
                f"start[{variable.name!r}] = {overrides[variable.name]} lies outside the support "
                f"of {variable.name!r}: its unconstrained value {value.name} is "
                f"{point[value.name]}."
            )


def start_std(
    model: pm.Model,
    layout: Layout,
    start_sigma: Mapping[str, Any] | None,
    dtype: np.dtype,
    otherwise: float = START_STD,
) -> np.ndarray:
    """Standard deviations of q at the start, in the unconstrained space."""
    std = np.full(layout.dim, otherwise, dtype)
    check_mapping({} if start_sigma is None else start_sigma, "start_sigma")
    _check_once(model, [getattr(name, "name", name) for name in start_sigma or {}], "start_sigma")
    for name, value in (start_sigma or {}).items():
        key = getattr(name, "name", name)
        try:
            slot = layout[key]
        except KeyError:
            raise ValueError(
                f"start_sigma has a value for {key!r}, which is not a free variable. Known: "
                f"{', '.join(layout.names)}."
            ) from None
        sigma = real_numbers(_aligned(model, key, value), f"start_sigma[{key!r}]").astype(dtype)
        if not np.all(np.isfinite(sigma) & (sigma > 0)):
            raise ValueError(f"start_sigma[{key!r}] must be positive and finite, got {sigma}.")
        try:
            std[slot.slice] = np.ravel(np.broadcast_to(sigma, slot.shape))
        except ValueError:
            raise ValueError(
                f"start_sigma[{key!r}] has shape {sigma.shape}, but {key!r} has unconstrained "
                f"shape {slot.shape}."
            ) from None
    return std


def not_given(layout: Layout, values: Mapping[str, Any] | None) -> np.ndarray:
    """Entries of the flat vector, ``(D,)``, whose variable has none of the values given."""
    names = {getattr(name, "name", name) for name in values or {}}
    free = np.ones(layout.dim, bool)
    for slot in layout:
        free[slot.slice] = not {slot.name, slot.value_name} & names
    return free


def _aligned(model: pm.Model, name: Any, value: Any) -> Any:
    """A labelled array in the order of the model's dims and coords; any other value as it is."""
    if not isinstance(value, xr.DataArray):
        return value
    dims = model.named_vars_to_dims.get(getattr(name, "name", name), ())
    if dims and set(dims) == set(value.dims):
        value = value.transpose(*dims)
        value = value.sel(
            {
                dim: list(model.coords[dim])
                for dim in dims
                if dim in value.coords and model.coords[dim]
            }
        )
    return value.to_numpy()
