"""A PyMC model of all rows, made from one that is written for batches."""

from __future__ import annotations

from typing import Any

import pymc as pm
from pymc.distributions.shape_utils import change_dist_size
from pymc.variational.minibatch_rv import MinibatchRandomVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors

from vi.graphs.lengths import rebuild_with_other_lengths, with_open_rows
from vi.graphs.replacements import like
from vi.targets.batches.search import find_batches
from vi.targets.batches.setting import GraphSetting

__all__ = ["full_model"]


def full_model(model: pm.Model, setting: GraphSetting | None = None) -> pm.Model:
    """The same model with all rows of the data in place of batches, and unscaled likelihoods.

    It shares its free variables and its data with the model. Without batches and replacements it is
    the model itself.

    Parameters
    ----------
    model : pymc.Model
        A model, perhaps with ``vi.Minibatch`` or ``pm.Minibatch`` tensors in it.
    setting : GraphSetting, optional
        Whose replacements are made too, and whose local variables have all their rows.

    Returns
    -------
    pymc.Model
        A model for PyMC's own functions: ``pm.sample_posterior_predictive``,
        ``pm.compute_log_likelihood``, ...
    """
    replacements = {} if setting is None else setting.replacements
    every: list[Any] = [
        *model.basic_RVs,
        *model.deterministics,
        *model.potentials,
        *model.rvs_to_values.values(),
    ]
    minibatches = find_batches(every)
    if not minibatches.tensors and not replacements:
        return model
    mapping: dict[Variable, Any] = {old: like(old, other) for old, other in replacements.items()}
    for old, other in mapping.items():
        other.name = old.name
    for tensor, (data, _) in minibatches.tensors.items():
        whole = mapping.get(data, data)
        mapping[tensor] = whole if whole.dtype == tensor.dtype else whole.astype(tensor.dtype)
    for name, (rows, _) in {} if setting is None else setting.locals.items():
        _with_rows(model, name, rows, mapping)
    batches = set(minibatches.tensors)
    scaled = [
        v
        for v in model.observed_RVs
        if v.owner is not None and isinstance(v.owner.op, MinibatchRandomVariable)
    ]
    for variable in scaled:
        above = set(ancestors([variable, model.rvs_to_values[variable]]))
        if above & batches or above & set(replacements):
            (unscaled,) = rebuild_with_other_lengths([variable.owner.inputs[0]], mapping)
            mapping[variable] = unscaled
            unscaled.name = variable.name
    rebuild_with_other_lengths(every, mapping)

    full = pm.Model(model=None)
    full._coords, full._dim_lengths = dict(model._coords), dict(model._dim_lengths)
    full.named_vars_to_dims.update(model.named_vars_to_dims)

    def new(variable: Any) -> Any:
        return mapping.get(variable, variable)

    for kind in ("free_RVs", "observed_RVs", "deterministics", "potentials", "data_vars"):
        getattr(full, kind).extend(new(variable) for variable in getattr(model, kind))
    for name, variable in model.named_vars.items():
        full.named_vars[name] = new(variable)
    for variable, value in model.rvs_to_values.items():
        full.rvs_to_values[new(variable)] = new(value)
        full.values_to_rvs[new(value)] = new(variable)
    for kind in ("rvs_to_transforms", "rvs_to_initial_values"):
        getattr(full, kind).update({new(v): item for v, item in getattr(model, kind).items()})
    return full


def _with_rows(model: pm.Model, name: str, rows: int, mapping: dict[Variable, Any]) -> None:
    """Give a local variable and its value all rows, where the model has those of a batch.

    ``mapping`` grows by what stands for them.
    """
    variable = model[name]
    value = model.rvs_to_values[variable]
    mapping[value] = with_open_rows(value)
    (resized,) = rebuild_with_other_lengths([variable], mapping)
    if resized.type.shape[0] not in (None, rows):
        batch = resized.type.ndim - resized.owner.op.ndim_supp
        resized = change_dist_size(
            resized, (rows, *(resized.shape[axis] for axis in range(1, batch)))
        )
        resized.name = name
        mapping[variable] = resized
