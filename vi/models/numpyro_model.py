"""A NumPyro model as functions of its latent sites, parameters and rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
from pytensor.tensor.type import TensorType

from vi.foundation.precision import precision
from vi.graphs.jax_op import JaxOp
from vi.models.density_model import Computed, DensityModel
from vi.models.numpyro_rows import Plate, in_plate, rows_of_any_length, with_rows
from vi.models.numpyro_transform import import_numpyro

__all__ = ["NumpyroModel", "add_deterministic_sites"]


@dataclass(frozen=True, eq=False)
class NumpyroModel:
    """A NumPyro model with its arguments, and what a trace of it has shown.

    Parameters
    ----------
    model : callable
        The model.
    args, kwargs
        Its arguments.
    init : dict
        Where a fit starts, by site: arrays, and of parameters pytrees.
    supports : dict
        Their supports, by site.
    parameters : tuple of str
        The ``numpyro.param`` sites among them.
    plate : Plate or None
        The plate that takes some of its rows.
    local : tuple of str
        The latent sites with an entry for every row of it.
    """

    model: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    init: dict[str, Any]
    supports: dict[str, Any]
    parameters: tuple[str, ...]
    plate: Plate | None
    local: tuple[str, ...]

    def model_of(self, rows: Any) -> Callable[..., Any]:
        """The model with these rows; as it is where no plate takes some."""
        return self.model if self.plate is None else with_rows(self.model, rows)

    def is_parameter(self, variable: str) -> bool:
        """Whether a variable is a parameter, or a leaf of one."""
        names = [name.replace("/", ".") for name in self.parameters]
        return any(variable == name or variable.startswith(f"{name}.") for name in names)

    def terms(self, params: Mapping[str, Any], rows: Any = None) -> tuple[Any, Any]:
        """Log p of the sites outside of the plate, and of the given rows in it, not scaled."""
        seeded = import_numpyro().handlers.seed(self.model_of(rows), 0)
        log_p, sites = import_numpyro().infer.util.compute_log_probs(
            seeded, self.args, self.kwargs, params
        )
        inside = [name for name in log_p if in_plate(sites[name], self.plate)]
        outside = sum((value for name, value in log_p.items() if name not in inside), start=0.0)
        if self.plate is None:
            return outside, 0.0
        of_rows = sum((log_p[name] for name in inside), start=jnp.zeros(()))
        return jnp.asarray(outside, jnp.result_type(float)), of_rows * (len(rows) / self.plate.size)

    def terms_of_any_length(self, params: Mapping[str, Any], rows: Any = None) -> tuple[Any, Any]:
        """The same with as many rows of local sites as there are row numbers."""
        if rows is None:
            return self.terms(params)
        return self.terms(rows_of_any_length(params, self.local, rows), rows)

    def log_prior(self, params: Mapping[str, Any]) -> Any:
        """Log p of all sites but the observed ones, of a model without local ones."""
        numpyro = import_numpyro()
        rows = None if self.plate is None else np.arange(self.plate.few)
        # that of all sites is observed or not: what is observed is the likelihood
        hidden = numpyro.handlers.block(
            numpyro.handlers.seed(self.model_of(rows), 0),
            hide_fn=lambda site: site.get("is_observed", False),
        )
        return numpyro.infer.util.log_density(hidden, self.args, self.kwargs, params)[0]

    def sites(self, params: Mapping[str, Any], rows: Any = None) -> dict[str, Any]:
        """The sample and deterministic sites of a trace with these values."""
        handlers = import_numpyro().handlers
        seeded = handlers.seed(self.model_of(rows), 0)  # for sites whose values are not read
        found = handlers.trace(handlers.substitute(seeded, data=params)).get_trace(
            *self.args, **self.kwargs
        )
        return {
            name: site
            for name, site in found.items()
            if site["type"] in ("sample", "deterministic")
        }

    def computed(self, params: Mapping[str, Any], rows: Any = None) -> dict[str, Any]:
        """Values of the deterministic sites."""
        return {
            name: jnp.asarray(site["value"])
            for name, site in self.sites(params, rows).items()
            if site["type"] == "deterministic"
        }


def add_deterministic_sites(made: DensityModel, read: NumpyroModel) -> None:
    """Add the deterministic sites to the model: those of the rows follow the batch."""
    plate = read.plate
    with precision(made.dtype):
        if plate is None:
            _add(made, read.computed(read.init), read.computed)
            return
        few = read.computed(read.init, np.arange(plate.few))
        every = np.arange(plate.size)
        all_rows = jax.eval_shape(
            lambda params: read.computed(rows_of_any_length(params, read.local, every), every),
            read.init,
        )
    shared = {name: value for name, value in few.items() if value.shape == all_rows[name].shape}

    def of_shared(params: Any) -> dict[str, Any]:
        n = params[read.local[0]].shape[0] if read.local else plate.few
        return read.computed(params, np.arange(n))

    _add(made, shared, of_shared)
    of_rows = {name: value for name, value in few.items() if name not in shared}
    if of_rows:
        _add(made, of_rows, read.computed, made.rows_of(every))


def _add(
    made: DensityModel, values: Mapping[str, Any], compute: Callable[..., Any], rows: Any = None
) -> None:
    """Add deterministic sites: one operation for numbers with a gradient, one for the others."""
    for floating in (True, False):
        kinds = {
            name: TensorType(
                (made.dtype if floating else value.dtype).name,
                value.shape if rows is None else (None,) * value.ndim,
            )
            for name, value in values.items()
            if jnp.issubdtype(value.dtype, jnp.floating) == floating
        }
        if not kinds:
            continue

        def chosen(params: Any, *rows: Any, names: tuple[str, ...] = tuple(kinds)) -> list[Any]:
            by_name = compute(params, *rows)
            return [by_name[name] for name in names]

        function = Computed(chosen, made.structure, tuple(kinds.values()), made.dtype)
        inputs = [*made.free_RVs, *([] if rows is None else [rows])]
        with made:
            for name, value in zip(kinds, JaxOp(function)(*inputs, return_list=True), strict=True):
                pm.Deterministic(
                    name.replace("/", "."), value
                )  # as the latent ones; xarray accepts no slash
