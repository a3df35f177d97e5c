"""The log density of a model with batches: every term that sees one is scaled, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob import transformed_conditional_logp
from pymc.variational.minibatch_rv import MinibatchRandomVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor import as_tensor

from vi.foundation.numbers import number
from vi.foundation.tracing_errors import first_line
from vi.graphs.interpret import interpret
from vi.graphs.lengths import without_broadcasts
from vi.graphs.replacements import like
from vi.targets.batches.found import Rows, StreamedRows, find_batches
from vi.targets.batches.local_rows import rows_of_locals
from vi.targets.batches.mixing import check_mixing, not_drawn_together
from vi.targets.batches.setting import GraphSetting

__all__ = ["in_setting"]


def in_setting(
    model: pm.Model, graphs: Sequence[Any], setting: GraphSetting
) -> tuple[Any, list[Any], tuple[Rows, ...], dict[str, Rows]]:
    """The log density of a model and other graphs of it, with batches or all rows in place.

    Parameters
    ----------
    model : pymc.Model
        The model; the number of rows of local variables' values must be open.
    graphs : sequence of Variable
        Other graphs of it.
    setting : GraphSetting
        Whether batches (training) or all rows are meant, and how terms are scaled.

    Returns
    -------
    log_prob : TensorVariable
        The scalar log density.
    graphs : list of Variable
        The other graphs.
    rows : tuple of Rows
        The batches; none unless training.
    local : dict of {str: Rows}
        With which of them each local variable goes.

    Raises
    ------
    ValueError
        If the scale of a term is not known, contradicts the data, or cannot be right because the
        term mixes rows.
    """
    variables = [*model.free_RVs, *model.observed_RVs, *model.potentials]
    terms = model.logp(variables, jacobian=setting.jacobian, sum=False)
    values = [
        model.rvs_to_values.get(variable, term)
        for variable, term in zip(variables, terms, strict=True)
    ]
    model_batches = find_batches([*terms, *values, *graphs])
    _check_scale(model, setting.scale)
    row_scales = getattr(model, "row_scales", {})  # what a DensityModel says of its terms
    if row_scales:
        by_name = setting.scale if isinstance(setting.scale, Mapping) else {}
        setting = replace(setting, scale={**row_scales, **by_name})
    if (
        not model_batches.tensors
        and not setting.replacements
        and setting.fed is None
        and not setting.locals
    ):
        return model.logp(jacobian=setting.jacobian), list(graphs), (), {}

    if setting.compare:
        _check_lengths(setting.replacements)
    places: dict[Variable, Any] = {old: like(old, new) for old, new in setting.replacements.items()}
    if setting.fed is not None:
        places |= {model[name]: like(model[name], new) for name, new in setting.fed.inputs.items()}
    whole, terms = (
        terms,
        [without_broadcasts(term) for term in _unscaled(model, variables, terms, setting.jacobian)],
    )
    k = len(variables)
    every = [*terms, *values, *graphs]
    every = _fitting(lambda: clone_replace(every, replace=places)) if places else every
    minibatches = find_batches(every)
    if len(minibatches.rows) > 1 and any(rows.sampling.short_last for rows in minibatches.rows):
        raise ValueError(
            "short_last=True: only one minibatch can have a short last batch, and no other beside "
            "it."
        )
    values_of_locals = [model.rvs_to_values[model[name]] for name in setting.locals]
    also = [*values_of_locals, *(setting.fed.marks if setting.fed else ())]
    in_place = _fitting(lambda: minibatches.swapped(every, full=not setting.training, also=also))
    model_keys = {rows.key for rows in model_batches.rows}
    local = rows_of_locals(model, every[: 2 * k], minibatches, setting) if setting.training else {}
    rows_of = {model.rvs_to_values[model[name]]: rows for name, rows in local.items()}
    total = []
    for i, variable in enumerate(variables):
        term = as_tensor(in_place[i], allow_xtensor_conversion=True)
        batches: list[Rows | StreamedRows] = list(minibatches.seen_by(every[i]))
        if setting.fed is not None and set(setting.fed.marks) & set(ancestors([every[i]])):
            batches.append(setting.fed)
        reached = set(values_of_locals) & set(ancestors([every[i]])) if setting.locals else set()
        batches = list(
            dict.fromkeys(
                [*batches, *(rows for value, rows in rows_of.items() if value in reached)]
            )
        )
        if not batches and not reached:
            as_given = clone_replace([whole[i]], replace=places)[0] if places else whole[i]
            term = as_tensor(as_given, allow_xtensor_conversion=True)
        elif setting.training:
            in_model = any(isinstance(rows, Rows) and rows.key in model_keys for rows in batches)
            if variable.name in local:
                if len(batches) > 1:
                    raise ValueError(not_drawn_together(variable.name))
                term = term * batches[0].factor
            else:
                term = term * _factor(model, variable, in_place[k + i], batches, setting, in_model)
            full = whole[i] if setting.compare and not in_model else None
            check_mixing(model, variable, in_place[i], batches, full, setting.scale, rows_of)
        total.append(term.sum())
    log_prob = pt.add(*total) if len(total) > 1 else total[0]
    return log_prob, in_place[2 * k :], minibatches.rows if setting.training else (), local


def _fitting(make: Callable[[], list[Any]]) -> list[Any]:
    """Graphs that are made anew; if their shapes do not fit together, say so."""
    try:
        return make()
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{_UNFIT} ({first_line(error)})") from error


_UNFIT = (
    "more_replacements: the model does not fit together with the replacements. Replace all data of "
    "the same rows, by tensors of the same number of dimensions: X_batch, y_batch = "
    "vi.Minibatch(X, y, batch_size=...)."
)


def _unscaled(
    model: pm.Model, variables: Sequence[Any], terms: Sequence[Any], jacobian: bool
) -> list[Any]:
    """The terms without what their ``total_size`` multiplies them by."""
    inner = {v: v.owner.inputs[0] for v in variables if _total_size(v) is not None}
    if not inner:
        return list(terms)
    by_value = {inner.get(rv, rv): value for rv, value in model.rvs_to_values.items()}
    transforms = {inner.get(rv, rv): transform for rv, transform in model.rvs_to_transforms.items()}
    conditional = transformed_conditional_logp(
        list(inner.values()),
        rvs_to_values=by_value,
        rvs_to_transforms=transforms,
        jacobian=jacobian,
    )
    plain = dict(zip(inner, conditional, strict=True))
    return [plain.get(variable, term) for variable, term in zip(variables, terms, strict=True)]


def _total_size(variable: Any) -> list[Any] | None:
    """The ``total_size`` of an observed variable, one entry an axis, or None."""
    if variable.owner is None or not isinstance(variable.owner.op, MinibatchRandomVariable):
        return None
    return [getattr(entry, "data", entry) for entry in variable.owner.inputs[1:]]


def _factor(
    model: pm.Model,
    variable: Any,
    value: Any,
    batches: Sequence[Rows | StreamedRows],
    setting: GraphSetting,
    in_model: bool,
) -> Any:
    """What a term that sees batches is multiplied by."""
    name = variable.name
    factor = prod((rows.factor for rows in batches[1:]), start=batches[0].factor)
    scale = (
        setting.scale
        if isinstance(setting.scale, str) or setting.scale is None
        else setting.scale.get(name)
    )
    total = _total_size(variable)
    sizes = " x ".join(f"{rows.size:,} of {rows.count():,} rows" for rows in batches)
    n = ", ".join(str(rows.count()) for rows in batches)
    n = n if len(batches) == 1 else f"({n})"
    if total is not None and not isinstance(setting.scale, Mapping):
        _check_value(name, value, batches)
        _check_total(name, total, value, batches, sizes, n)
        return factor
    if isinstance(scale, int | float | np.number):
        return float(scale)
    if variable in model.free_RVs:
        raise ValueError(
            f"A batch ({sizes}) reaches the prior of the free variable {name!r}. If it has one "
            f"entry a row, make it local: vi.Group([{name}], local=True); otherwise compute what "
            "its prior depends on from all the data."
        )
    if variable in model.potentials:
        if scale == "rows" and isinstance(setting.scale, Mapping):
            return factor
        raise ValueError(
            f"A batch ({sizes}) reaches the Potential {name!r}, whose scale is not known. Say what "
            f"it is multiplied by: scale={{{name!r}: 'rows'}} for N / B, if it is a sum over rows, "
            "or a number."
        )
    if scale == "rows" or not in_model:
        _check_value(name, value, batches)
        return factor
    raise ValueError(
        f"{name!r} sees a batch ({sizes}) but has no total_size, so that the prior would count too "
        f"much. Write pm.{_distribution(variable)}({name!r}, ..., total_size={n}). "
        f"(vi.fit(scale='rows') scales every likelihood by N / B without it; scale={{{name!r}: "
        f"1.0}} leaves this one as it is.)"
    )


def _check_total(
    name: str,
    total: Sequence[Any],
    value: Any,
    batches: Sequence[Rows | StreamedRows],
    sizes: str,
    n: str,
) -> None:
    """Refuse a ``total_size`` that scales otherwise than the data do."""
    shape = _shape_of(value, batches)
    if len(total) > max(len(shape), 1):
        raise ValueError(
            f"total_size of {name!r} has {len(total)} entries, its values have {len(shape)} axes."
        )
    entries = [(i, int(t)) for i, t in enumerate(total) if t is not None]
    scale = prod(t / (shape[i] if shape else 1) for i, t in entries)
    wanted = prod(rows.count() / rows.size for rows in batches)
    if not np.isclose(scale, wanted, rtol=1e-9, atol=0.0):
        written = entries[0][1] if len(total) == 1 else tuple(total)
        raise ValueError(
            f"total_size={written} of {name!r} multiplies its log likelihood by {scale:.6g}, but "
            f"it sees {sizes}, which is {wanted:.6g}. Write total_size={n}. (scale={{{name!r}: "
            f"...}} puts another number in its place.)"
        )


def _check_value(name: str, value: Any, batches: Sequence[Rows | StreamedRows]) -> None:
    """Refuse a batch that reaches a likelihood but not its observed values."""
    up = set(ancestors([value]))
    for rows in batches:
        if not up & set(rows.marks):
            if len(batches) > 1:
                raise ValueError(not_drawn_together(name))
            raise ValueError(
                f"{name!r} sees a minibatch, but its observed values are still the full data. "
                "Replace both: X_batch, y_batch = vi.Minibatch(X, y, batch_size=...)."
            )


def _shape_of(value: Any, batches: Sequence[Rows | StreamedRows]) -> tuple[int, ...]:
    inputs = [mark for rows in batches for mark in rows.marks]
    arrays: list[Any] = []
    for rows in batches:
        if isinstance(rows, StreamedRows):
            arrays += [rows.sample[name][: rows.size] for name in rows.inputs]
        else:
            arrays.append(np.zeros(rows.size, np.int64))
    value = as_tensor(value, allow_xtensor_conversion=True)
    return tuple(int(n) for n in interpret(inputs, [value.shape], arrays)[0])


def _check_scale(model: pm.Model, scale: Any) -> None:
    """Refuse what is no scale."""
    if scale is None or scale == "rows":
        return
    names = [variable.name for variable in [*model.observed_RVs, *model.potentials]]
    if not isinstance(scale, Mapping):
        raise TypeError(
            f"scale={scale!r}: use 'rows', or a dict of 'rows' or numbers by name "
            f"({', '.join(names)})."
        )
    for name, entry in scale.items():
        if name not in names:
            raise ValueError(
                f"scale has an entry for {name!r}, which is no likelihood or Potential: "
                f"{', '.join(names)}."
            )
        if entry != "rows":
            number(f"scale[{name!r}]", entry, above=0.0, why="or 'rows'")


def _check_lengths(replacements: Mapping[Variable, Variable]) -> None:
    """Refuse batches of data of another length than those they replace."""
    for old, new in replacements.items():
        for rows in find_batches([new]).rows:
            length = int(interpret([], [pt.shape(old)[0]], [])[0])
            if length != rows.count():
                raise ValueError(
                    f"more_replacements: {old} has {length} rows, and the minibatch in its place "
                    f"is one of {rows.count()}. Make it from the same data: vi.Minibatch(data, "
                    "batch_size=...)."
                )


def _distribution(variable: Any) -> str:
    name = type(variable.owner.op).__name__ if variable.owner is not None else "Normal"
    return name.removesuffix("RV") or "Normal"
