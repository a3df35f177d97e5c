"""Minibatches in place of full data: which rows a step takes, and what its log density is scaled by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.data import MinibatchIndexRV, MinibatchOp
from pymc.variational.minibatch_rv import MinibatchRandomVariable
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor import as_tensor

from vi.targets.checks import first_line, interpret, like

__all__ = ["Rows", "draw_rows", "replaced"]

STREAM = 2**32 - 1
"""What separates the random numbers of rows from those of a step's draws."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that a minibatch takes.

    Parameters
    ----------
    index : TensorVariable
        Symbolic row numbers, shape ``(size,)``.
    n : int
        Rows of the full data.
    size : int
        Rows of a batch.
    """

    index: Any
    n: int
    size: int


def draw_rows(rows: Sequence[Rows], key: jax.Array, step: Any) -> tuple[jax.Array, ...]:
    """Row numbers of a step, drawn independently with replacement: a function of the run's key and the step alone."""
    key = jax.random.fold_in(jax.random.fold_in(key, STREAM), step)
    keys = jax.random.split(key, len(rows))
    return tuple(jax.random.randint(k, (r.size,), 0, r.n) for k, r in zip(keys, rows, strict=True))


def replaced(
    model: pm.Model, outputs: Sequence[Any], replacements: Mapping[Variable, Variable]
) -> tuple[list[Any], tuple[Rows, ...]]:
    """The graphs with parts replaced; where ``pm.Minibatch`` tensors take the place of data, log p is scaled.

    Terms of observed variables that see a batch of ``B`` rows in place of ``N`` are multiplied by ``N / B``, unless
    their ``total_size`` does that already. Log p is then an unbiased estimate of that of the full data.

    Parameters
    ----------
    model : pymc.Model
        The model.
    outputs : sequence of variables
        Its log density, and other graphs.
    replacements : mapping of variables
        What takes the place of what.

    Raises
    ------
    ValueError
        If a batch takes the place of data of another length, or of a part of the data that one likelihood reads.
    NotImplementedError
        If a batch reaches something else than an observed variable.
    """
    found = [v.owner for v in ancestors(list(replacements.values())) if _is_minibatch(v)]
    nodes = list(dict.fromkeys(found))
    if not nodes:
        return clone_replace(list(outputs), replace={old: like(old, new) for old, new in replacements.items()}), ()
    swaps: dict[Variable, Any] = {}
    rows = []
    for node in nodes:
        taken = Rows(pt.vector("rows", dtype="int64", shape=(_size(node),)), _length(node.inputs[0]), _size(node))
        rows.append(taken)
        swaps |= {out: data[taken.index] for out, data in zip(node.outputs[:-1], node.inputs[:-1], strict=True)}
    olds, made = list(replacements), clone_replace(list(replacements.values()), replace=swaps)
    news = [like(old, new) for old, new in zip(olds, made, strict=True)]
    for old, new in zip(olds, news, strict=True):
        for taken in rows:
            if taken.index in set(ancestors([new])) and _length(old) != taken.n:
                raise ValueError(
                    f"more_replacements: {old} has {_length(old)} rows, and the minibatch in its place is one of "
                    f"{taken.n}. Make it from the same data: pm.Minibatch(data, batch_size=...)."
                )
    log_prob = _scaled_log_prob(model, dict(zip(olds, news, strict=True)), rows)
    rest = clone_replace(list(outputs[1:]), replace=dict(zip(olds, news, strict=True)))
    return [log_prob, *rest], tuple(rows)


def _scaled_log_prob(model: pm.Model, replace: dict[Variable, Any], rows: Sequence[Rows]) -> Any:
    variables = [*model.free_RVs, *model.observed_RVs, *model.potentials]
    data = [model.rvs_to_values.get(variable) for variable in variables]
    known = [value for value in data if value is not None]
    full = model.logp(variables, sum=False)
    try:
        graphs = clone_replace([*full, *known], replace=replace)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_UNFIT} ({first_line(error)})") from error
    terms, values = graphs[: len(variables)], iter(graphs[len(variables) :])
    total = []
    for variable, whole, term, value in zip(variables, full, terms, data, strict=True):
        own = None if value is None else next(values)
        seen = [taken for taken in rows if taken.index in set(ancestors([term]))]
        term = as_tensor(term, allow_xtensor_conversion=True)
        if seen:
            factor = _factor(model, variable, own, seen)
            _check_rows(model, variable, whole, term, seen[0], factor)
            term = factor * term
        total.append(term.sum())
    return pt.add(*total) if len(total) > 1 else total[0]


def _factor(model: pm.Model, variable: Any, value: Any, seen: Sequence[Rows]) -> float:
    """What a term that sees a batch is multiplied by."""
    if variable not in model.observed_RVs:
        kind = "Potential" if variable in model.potentials else "free variable"
        raise NotImplementedError(
            f"more_replacements: a minibatch reaches the {kind} {variable.name!r}, whose scale is not known. "
            "Only the data of observed variables can be replaced by minibatches."
        )
    if len(seen) > 1:
        raise ValueError(
            f"more_replacements: {variable.name!r} sees two minibatches whose rows are not drawn together. "
            "Make them in one call: X_batch, y_batch = pm.Minibatch(X, y, batch_size=...)."
        )
    if seen[0].index not in set(ancestors([value])):
        raise ValueError(
            f"more_replacements: {variable.name!r} sees a minibatch, but its observed values are still the full data. "
            "Replace both: X_batch, y_batch = pm.Minibatch(X, y, batch_size=...)."
        )
    scaled = variable.owner is not None and isinstance(variable.owner.op, MinibatchRandomVariable)
    return 1.0 if scaled else seen[0].n / seen[0].size


_UNFIT = (
    "more_replacements: the model does not fit together with the replacements. Replace all data of the same rows, by "
    "tensors of the same number of dimensions: X_batch, y_batch = pm.Minibatch(X, y, batch_size=...)."
)


def _check_rows(model: pm.Model, variable: Any, whole: Any, term: Any, taken: Rows, factor: float) -> None:
    """Refuse terms whose value for some rows is not that of the same rows in the full data: then N / B is wrong."""
    generator = np.random.default_rng(0)
    rows = generator.integers(taken.n, size=taken.size)
    # beside the initial point, where coefficients are 0 and hide what they multiply
    point = {
        name: value + 0.5 * generator.normal(size=np.shape(value)) for name, value in model.initial_point().items()
    }
    inputs = [*model.value_vars, taken.index]
    values = [*(np.asarray(point[v.name], v.dtype) for v in model.value_vars), rows]
    try:
        full, batch = interpret(inputs, [as_tensor(whole, allow_xtensor_conversion=True), term], values)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{_UNFIT} ({variable.name!r}: {first_line(error)})") from error
    scale = taken.n / (taken.size * factor)  # what total_size has multiplied the batch by already
    alike = np.shape(full)[:1] == (taken.n,) and np.shape(batch)[:1] == (taken.size,)
    if not alike or not np.allclose(full[rows], np.asarray(batch) / scale, rtol=1e-4, equal_nan=True):
        raise ValueError(
            f"more_replacements: log p of {variable.name!r} for a batch of rows is not that of the same rows of the "
            "full data, so that no scale makes it right. Either the minibatch was made from other data, or the model "
            "mixes rows (a mean or a cumulative sum over the data): compute such things before, from the full data."
        )


def _is_minibatch(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, MinibatchOp)


def _size(node: Apply) -> int:
    """Rows of a batch of ``pm.Minibatch``."""
    inner = next(n for n in node.op.fgraph.toposort() if isinstance(n.op, MinibatchIndexRV))
    size = int(np.ravel(inner.op.size_param(inner).data)[0])
    if size < 1:
        raise ValueError(f"more_replacements: a minibatch has batch_size={size}; it must be at least 1.")
    return size


def _length(variable: Any) -> int:
    """Rows of data."""
    return int(interpret([], [pt.shape(variable)[0]], [])[0])
