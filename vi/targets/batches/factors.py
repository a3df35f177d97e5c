"""What a term that sees batches is multiplied by: ``N / B``, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import pymc as pm
from pymc.logprob import transformed_conditional_logp
from pymc.variational.minibatch_rv import MinibatchRandomVariable
from pytensor.graph.traversal import ancestors
from pytensor.tensor import as_tensor

from vi.foundation.numbers import number
from vi.graphs.interpret import interpret
from vi.targets.batches.mixing import not_drawn_together
from vi.targets.batches.rows import Rows, StreamedRows
from vi.targets.batches.setting import GraphSetting

__all__ = ["check_scale", "factor_of", "unscaled"]


def check_scale(model: pm.Model, scale: Any) -> None:
    """Refuse what is no scale."""
    if scale is None or (isinstance(scale, str) and scale == "rows"):
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


def unscaled(
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


def factor_of(
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


def _total_size(variable: Any) -> list[Any] | None:
    """The ``total_size`` of an observed variable, one entry an axis, or None."""
    if variable.owner is None or not isinstance(variable.owner.op, MinibatchRandomVariable):
        return None
    return [getattr(entry, "data", entry) for entry in variable.owner.inputs[1:]]


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
    if not entries:
        raise ValueError(
            f"total_size of {name!r} has no number, and {name!r} sees {sizes}. Write "
            f"total_size={n}."
        )
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


def _distribution(variable: Any) -> str:
    name = type(variable.owner.op).__name__ if variable.owner is not None else "Normal"
    return name.removesuffix("RV") or "Normal"
