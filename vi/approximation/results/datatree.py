"""Draws as an ArviZ DataTree (values, data, the record of the fit), or as PyMC's MultiTrace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from arviz_base import dict_to_dataset
from pymc.backends.arviz import find_constants, find_observations
from pymc.backends.base import MultiTrace
from pymc.backends.ndarray import NDArray
from pytensor.graph.traversal import ancestors

from vi.diagnostics.stages import Stage, stages_to_dataset
from vi.foundation.version import __version__
from vi.targets.model.labels import dims_that_fit, labels_and_dims

__all__ = ["fit_record", "to_datatree", "to_multitrace"]


def to_datatree(
    model: pm.Model,
    posterior: Mapping[str, np.ndarray],
    sample_stats: Mapping[str, np.ndarray],
    record: xr.Dataset,
    store_data: bool,
    left_out: Sequence[str] = (),
    chains: int = 1,
) -> xr.DataTree:
    """Assemble the groups.

    Arrays of draws come as ``(chains * draws, *shape)``, one chain after the other.

    Data containers ``left_out``, and observed variables that are such a container, are not stored.
    """
    coords, named = labels_and_dims(model)
    shapes = {name: np.shape(value)[1:] for name, value in posterior.items()}
    dims: dict[Any, Any] = named | dims_that_fit(shapes, coords, named)

    def draws_to_dataset(values: Mapping[str, np.ndarray]) -> xr.Dataset:
        arrays = {name: np.asarray(value) for name, value in values.items()}
        split = {
            name: array.reshape(chains, len(array) // chains, *array.shape[1:])
            for name, array in arrays.items()
        }
        return dict_to_dataset(
            split, coords=coords, dims=dims, inference_library=pm, attrs=_library()
        )

    groups = {"posterior": draws_to_dataset(posterior)}
    if sample_stats:
        groups["sample_stats"] = draws_to_dataset(sample_stats)
    if store_data:
        skipped = {
            *left_out,
            *(v.name for v in model.observed_RVs if _is_one_of(model.rvs_to_values[v], left_out)),
        }
        for name, found in (
            ("observed_data", find_observations(model)),
            ("constant_data", find_constants(model)),
        ):
            data = {key: value for key, value in found.items() if key not in skipped}
            dims |= dims_that_fit({k: np.shape(v) for k, v in data.items()}, coords, named)
            if data:
                groups[name] = dict_to_dataset(
                    data,
                    coords=coords,
                    dims=dims,
                    sample_dims=[],
                    inference_library=pm,
                    attrs=_library(),
                )
    groups["fit"] = record
    return xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})


def to_multitrace(model: pm.Model, draws: Mapping[str, np.ndarray]) -> MultiTrace:
    """Draws as the trace of PyMC's own samplers, with one chain.

    ``draws`` are arrays ``(draws, *shape)`` by the names of variables and of their unconstrained
    values. The trace holds them as they are: its function, which computes a point's variables, is
    not needed any more.
    """
    variables = [v for v in model.unobserved_value_vars if v.name in draws]
    arrays = {v.name: np.asarray(draws[v.name]) for v in variables}
    trace = NDArray(
        model=model,
        vars=variables,
        fn=_records_no_more,
        var_shapes={name: array.shape[1:] for name, array in arrays.items()},
        var_dtypes={name: array.dtype for name, array in arrays.items()},
    )
    trace.samples = arrays
    trace.chain = 0
    trace.draws = trace.draw_idx = len(next(iter(arrays.values())))
    return MultiTrace([trace])


def _records_no_more(*point: Any) -> Any:
    raise TypeError("This trace holds the draws of an approximation; it records no others.")


def _is_one_of(value: Any, names: Sequence[str]) -> bool:
    return any(getattr(v, "name", None) in names for v in ancestors([value])) if names else False


def fit_record(
    losses: np.ndarray,
    settings: Mapping[str, Any],
    restarts: xr.Dataset | None = None,
    stages: Sequence[Stage] = (),
) -> xr.Dataset:
    """The ``fit`` group: losses, several starts, stages, the settings as attributes."""
    steps = np.arange(1, len(losses) + 1)
    # netCDF has no booleans
    plain = {name: int(v) if isinstance(v, bool) else v for name, v in settings.items()}
    record = xr.Dataset({"loss": ("step", np.array(losses))}, coords={"step": steps}, attrs=plain)
    if stages:
        record = record.merge(stages_to_dataset(stages))
    if restarts is None:
        return record
    return record.merge(restarts).assign_attrs(record.attrs | restarts.attrs)


def _library() -> dict[str, str]:
    return {"inference_library": "pymc-vi", "inference_library_version": __version__}
