"""After the fit: predictions and log likelihoods of all rows, at once or block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pymc as pm
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import model_of_all_rows
from vi.approximation.record.present_data import refuse_masked_data
from vi.approximation.results.draws import sample
from vi.approximation.results.streamed_rows import in_blocks, row_variables
from vi.foundation.numbers import check_count
from vi.foundation.seeds import resolve_seed
from vi.graphs.compiling import compiling
from vi.models.density_model import DensityModel, Predictions

__all__ = ["compute_log_likelihood", "sample_posterior_predictive"]


def sample_posterior_predictive(
    fit: FitState,
    /,
    idata: xr.DataTree | None = None,
    *,
    block_rows: int | None = None,
    **options: Any,
) -> xr.DataTree:
    """Predictions of the observed variables for all rows.

    Parameters
    ----------
    idata : xarray.DataTree, optional
        Draws (:meth:`sample`); 500 new ones by default.
    block_rows : int, optional
        Rows at a time where the data are streamed; 10,000 by default.
    **options
        For ``pm.sample_posterior_predictive``: ``var_names``, ``random_seed``, ... Of a NumPyro
        model ``random_seed``, and ``args`` and ``kwargs``: other arguments of the model, for
        predictions elsewhere.

    Returns
    -------
    xarray.DataTree
        With a group ``posterior_predictive``.

    Raises
    ------
    TypeError
        If nothing is observed in the model, so that there is nothing to predict.
    """
    if block_rows is not None:
        check_count("block_rows", block_rows)
    idata = sample(fit, log_prob=False) if idata is None else idata
    _check_draws(fit.model, idata, "sample_posterior_predictive", options.get("var_names"))
    refuse_masked_data(fit)
    if isinstance(fit.model, DensityModel):
        return _predicted(fit.model, idata, **options)
    if not fit.model.observed_RVs and not options.get("var_names"):
        raise TypeError(_nothing_observed("predict; var_names= takes names of other variables"))
    # drawn for all rows, though a batch's length may be written in their shape
    local = [name for group in fit.local for name in group.variables]
    frozen = {"freeze_vars": local} if local else {}

    def predict(model: pm.Model, **more: Any) -> xr.DataTree:
        with compiling():
            tree: xr.DataTree = pm.sample_posterior_predictive(
                idata, model=model, **({"progressbar": False} | frozen | options | more)
            )
        return tree

    return _of_all_rows(fit, predict, "posterior_predictive", block_rows)


def compute_log_likelihood(
    fit: FitState, /, idata: xr.DataTree, *, block_rows: int | None = None, **options: Any
) -> xr.DataTree:
    """Log likelihood of every row at every draw, unscaled: what ``arviz.loo`` needs.

    Parameters
    ----------
    idata : xarray.DataTree
        Draws (:meth:`sample`); the group ``log_likelihood`` is added to it.
    block_rows : int, optional
        Rows at a time where the data are streamed; 10,000 by default.
    **options
        For ``pm.compute_log_likelihood``: ``var_names``, ...

    Returns
    -------
    xarray.DataTree
        The same tree.
    """
    if block_rows is not None:
        check_count("block_rows", block_rows)
    _check_draws(fit.model, idata, "compute_log_likelihood", options.get("var_names"))
    refuse_masked_data(fit)
    if isinstance(fit.model, DensityModel):
        return _with_log_likelihood(fit.model, idata, **options)
    if not fit.model.observed_RVs:
        raise TypeError(_nothing_observed("have a likelihood"))

    def compute(model: pm.Model, **more: Any) -> xr.DataTree:
        settings = {"progressbar": False} | options | more
        with compiling(), _without_initial_values(model):
            group = pm.compute_log_likelihood(
                idata, model=model, extend_inferencedata=False, **settings
            )
        return xr.DataTree.from_dict(
            {"log_likelihood": group if isinstance(group, xr.Dataset) else group.to_dataset()}
        )

    tree = _of_all_rows(fit, compute, "log_likelihood", block_rows)
    idata["log_likelihood"] = xr.DataTree(tree["log_likelihood"].to_dataset())
    return idata


def _check_draws(
    model: pm.Model, idata: Any, function: str, var_names: Sequence[str] | None
) -> None:
    """Refuse what holds no draws of the free variables, and names that are none of the model's."""
    if not isinstance(idata, xr.DataTree):
        raise TypeError(
            f"{function}(idata) takes draws, a DataTree from approx.sample(); got "
            f"{'nothing' if idata is None else type(idata).__name__}."
        )
    if "posterior" not in idata.children:
        raise ValueError(
            f"{function}(idata) takes draws, and these have no group 'posterior' (groups: "
            f"{', '.join(idata.children) or 'none'}). approx.sample() gives one."
        )
    if isinstance(model, DensityModel):
        return  # its sites are NumPyro's, and draws come as a pytree
    missing = [v.name for v in model.free_RVs if v.name not in idata["posterior"].data_vars]
    if missing and function == "compute_log_likelihood":  # predictions draw them from the prior
        raise ValueError(
            f"{function}(idata) takes draws of all free variables; {', '.join(missing)} is missing."
        )
    unknown = [name for name in var_names or () if name not in model.named_vars]
    if unknown:
        raise ValueError(f"var_names has {unknown[0]!r}, which is no variable of the model.")


def _nothing_observed(what: str) -> str:
    return (
        "The model has no observed variables, so that there is nothing to "
        f"{what}. Data in a Potential are known to the log density alone: write them as "
        "observed=, or compute from the draws."
    )


def _predictions_of(model: DensityModel) -> Predictions:
    if model.predictions is None:
        raise TypeError(
            "A log density has no observed variables. Compute from the draws: "
            "model.pytree(approx.sample()) has the arguments of your function, with leading axes "
            "(chain, draw), for jax.vmap."
        )
    return model.predictions


def _flat_draws(model: DensityModel, idata: xr.DataTree) -> tuple[dict[str, Any], tuple[int, int]]:
    """Draws by name, chains one after the other, and how many there are of each."""
    arrays = model.pytree(idata)
    chains, draws = jax.tree.leaves(arrays)[0].shape[:2]
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), arrays), (chains, draws)


def _dataset(arrays: dict[str, np.ndarray], sizes: tuple[int, int]) -> xr.Dataset:
    """Arrays ``(S, ...)`` by name, with dims for chain and draw; a slash in a name as a dot."""
    variables = {}
    for site, array in arrays.items():
        name = site.replace("/", ".")
        inner = (f"{name}_dim_{i}" for i in range(array.ndim - 1))
        variables[name] = ("chain", "draw", *inner), array.reshape(*sizes, *array.shape[1:])
    coords = {dim: np.arange(size) for dim, size in zip(("chain", "draw"), sizes, strict=True)}
    return xr.Dataset(variables, coords=coords)


def _predicted(
    model: DensityModel,
    idata: xr.DataTree,
    *,
    random_seed: Any = None,
    var_names: Sequence[str] | None = None,
    progressbar: bool = False,  # there is none
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    predictions = _predictions_of(model)
    draws, sizes = _flat_draws(model, idata)
    others = (None if args is None else tuple(args), kwargs)
    found = predictions.predict(draws, resolve_seed(random_seed), *others)
    found = _chosen(found, var_names)
    return xr.DataTree.from_dict({"posterior_predictive": _dataset(found, sizes)})


def _with_log_likelihood(
    model: DensityModel,
    idata: xr.DataTree,
    *,
    var_names: Sequence[str] | None = None,
    progressbar: bool = False,  # there is none
) -> xr.DataTree:
    draws, sizes = _flat_draws(model, idata)
    found = _chosen(_predictions_of(model).log_likelihood(draws), var_names)
    idata["log_likelihood"] = xr.DataTree(_dataset(found, sizes))
    return idata


def _chosen(found: dict[str, np.ndarray], var_names: Sequence[str] | None) -> dict[str, np.ndarray]:
    if not found:
        raise TypeError("The NumPyro model has no observed sites: give it the data, y=... .")
    unknown = [name for name in var_names or () if name not in found]
    if unknown:
        raise ValueError(f"There is no observed site {unknown[0]!r}; there are {', '.join(found)}.")
    return found if var_names is None else {name: found[name] for name in var_names}


@contextmanager
def _without_initial_values(model: pm.Model) -> Iterator[None]:
    """A model without initial values: PyMC refuses to copy it with them, and none is used."""
    kept = dict(model.rvs_to_initial_values)
    try:
        model.rvs_to_initial_values.update(dict.fromkeys(kept))
        yield
    finally:
        model.rvs_to_initial_values.update(kept)


def _of_all_rows(
    fit: FitState, compute: Callable[..., xr.DataTree], group: str, block_rows: int | None
) -> xr.DataTree:
    """What PyMC computes from all rows.

    Of streamed data in blocks that are put together along the rows.
    """
    if fit.data.stream is None:
        return compute(model_of_all_rows(fit))
    rows = row_variables(fit)
    quick = {"compile_kwargs": {"mode": "FAST_COMPILE"}}  # every block compiles anew
    parts = [compute(fit.model, **quick)[group].to_dataset() for _ in in_blocks(fit, block_rows)]
    joined = {}
    for name, first in parts[0].data_vars.items():
        axis = first.ndim - fit.model[str(name)].ndim
        values = [part[name].to_numpy() for part in parts] if name in rows else [first.to_numpy()]
        joined[name] = (
            first.dims,
            np.concatenate(values, axis=axis) if name in rows else values[0],
        )
    coords = {dim: parts[0].coords[dim] for dim in ("chain", "draw")}
    return xr.DataTree.from_dict({group: xr.Dataset(joined, coords=coords, attrs=parts[0].attrs)})
