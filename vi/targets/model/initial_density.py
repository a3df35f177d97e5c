"""Whether the model can be evaluated at the start; if not, what is responsible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
from pymc.logprob.utils import ParameterValueError
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor import as_tensor

from vi.graphs.interpret import interpret
from vi.graphs.wrapped_jax import with_jax_ops
from vi.targets.batches.rows import Rows
from vi.targets.batches.search import Batches, find_batches
from vi.targets.model.checks import refuse_random_inputs
from vi.targets.model.facts import fact

__all__ = ["check_deterministics", "check_initial_density", "check_start", "terms_at_start"]

_FAILED_CHECKS = (ParameterValueError, AssertionError, np.linalg.LinAlgError)


def check_initial_density(
    model: pm.Model, point: Mapping[str, np.ndarray], *, finite: bool = True
) -> None:
    """Refuse a start at which the log density is not finite, naming terms, data and values.

    It is evaluated by PyTensor's interpreter, so nothing is compiled, and indices that do not exist
    are errors: JAX takes the last entry in their place. Of minibatches a batch is evaluated, with
    the rows in it that have the smallest and the largest whole numbers.

    Parameters
    ----------
    model : pymc.Model
        The model.
    point : mapping of {str: array}
        The start, by value name.
    finite : bool
        Whether a value that is not finite is refused; if not, only what cannot be evaluated is.
    """
    terms, outputs = _terms(model)
    minibatches = find_batches(outputs)
    minibatches.refuse_nan()
    inputs, outputs, values = _on_a_batch(model, outputs, minibatches, point)
    refuse_random_inputs(model, graph_inputs(outputs))
    try:
        results = interpret(inputs, outputs, values)
    except _FAILED_CHECKS:  # a parameter outside its domain: find out whose
        results = [_interpret_alone(inputs, output, values) for output in outputs]
    except ValueError as error:
        if not minibatches.rows:
            raise
        raise ValueError(_shapes_of_a_batch(model, minibatches.rows, point, error)) from error
    bad = {
        term: result if isinstance(result, str) else _where_not_finite(model, term, result)
        for term, result in zip(terms, results, strict=True)
        if isinstance(result, str) or not np.isfinite(np.sum(result))
    }
    if bad and finite:
        listed = ", ".join(f"{term.name} ({what})" for term, what in bad.items())
        raise ValueError(
            f"The log density is not finite at the start. Terms that are not finite: {listed}. "
            f"{_responsible(model, list(bad), point)}"
            "Check the observed data and the support of the priors, or pass start={name: value}. "
            "model.debug() shows the parameters."
        )


def check_start(model: pm.Model, point: Mapping[str, np.ndarray]) -> None:
    """As :func:`check_initial_density`, once for the same model, data and point."""
    key = ("finite", *((name, np.asarray(point[name]).tobytes()) for name in sorted(point)))
    fact(model, key, lambda: check_initial_density(model, point))


def terms_at_start(
    model: pm.Model, point: Mapping[str, np.ndarray]
) -> tuple[dict[str, float], list[tuple[int, int]]]:
    """The log density of each variable and potential at a point, and how batches cut the rows.

    Evaluated as by :func:`check_initial_density`.

    Parameters
    ----------
    model : pymc.Model
        The model.
    point : mapping of {str: array}
        The point, by value name.

    Returns
    -------
    dict of {str: float}
        Sums of log densities, by name.
    list of tuple of int
        Rows of a batch, and of all, for each set of rows.
    """
    terms, outputs = _terms(model)
    batches = find_batches(outputs)
    results = interpret(*_on_a_batch(model, outputs, batches, point))
    values = {
        str(term.name): float(np.sum(result)) for term, result in zip(terms, results, strict=True)
    }
    return values, [(int(rows.size), int(rows.count())) for rows in batches.rows]


def _terms(model: pm.Model) -> tuple[list[Any], list[Any]]:
    """The variables and potentials of a model, and the graphs of their log densities."""
    terms = [*model.free_RVs, *model.observed_RVs, *model.potentials]
    outputs = [
        as_tensor(term, allow_xtensor_conversion=True) for term in model.logp(terms, sum=False)
    ]
    return terms, outputs


def check_deterministics(model: pm.Model, point: Mapping[str, np.ndarray]) -> None:
    """Refuse data with which the model's deterministics cannot be evaluated.

    Raises
    ------
    ValueError, IndexError
        If shapes do not fit, or an index does not exist.
    """
    outputs = [
        as_tensor(variable, allow_xtensor_conversion=True)
        for variable in model.replace_rvs_by_values(model.deterministics)
    ]
    interpret(*_on_a_batch(model, outputs, find_batches(outputs), point))


def _on_a_batch(
    model: pm.Model, outputs: list[Any], minibatches: Batches, point: Mapping[str, np.ndarray]
) -> tuple[list[Any], list[Any], list[np.ndarray]]:
    """Inputs, graphs and values of the inputs, with some rows in the place of minibatches."""
    inputs = list(model.value_vars)
    values = [np.asarray(point[value.name], value.dtype) for value in model.value_vars]
    outputs = minibatches.swapped(outputs, full=False)
    for rows in minibatches.rows:
        inputs.append(rows.index)
        values.append(_telling_rows(minibatches, rows))
    return inputs, with_jax_ops(outputs), values


def _telling_rows(batches: Batches, rows: Rows) -> np.ndarray:
    """Row numbers of a batch, among them those of the extremes of whole numbers in the data."""
    telling: list[int] = []
    for data, axes in batches.tensors.values():
        axis = next((axis for axis, its_rows in axes if its_rows is rows), None)
        if axis is None or not np.issubdtype(data.dtype, np.integer):
            continue
        array = np.moveaxis(np.asarray(interpret([], [data], [])[0]), axis, 0)
        if array.size:
            flat = array.reshape(len(array), -1)
            telling += [int(flat.min(axis=1).argmin()), int(flat.max(axis=1).argmax())]
    chosen = list(dict.fromkeys(telling))[: rows.size]
    others = [row for row in range(rows.size) if row not in chosen]
    return np.array(chosen + others[: rows.size - len(chosen)])


def _shapes_of_a_batch(
    model: pm.Model, batches: Sequence[Rows], point: Mapping[str, np.ndarray], error: Any
) -> str:
    """What does not fit: a batch and, most likely, a variable with an entry for each row."""
    text = f"The model cannot be evaluated on a batch of rows: {error}. "
    for rows in batches:
        n = rows.count()
        long = [
            f"{variable.name} {point[value.name].shape}"
            for variable, value in zip(model.free_RVs, model.value_vars, strict=True)
            if n in point[value.name].shape
        ]
        if long:
            return text + (
                f"A batch has {rows.size} of {n} rows; these variables have an entry for each: "
                f"{', '.join(long)}. Either write them for a batch (shape {rows.size}) and put "
                "them into a group of their own, vi.Group([...], local=True); or take their "
                f"entries with the rows: y, i = vi.Minibatch(y, numpy.arange({n}), "
                f"batch_size={rows.size}), then z[i]."
            )
    return text + "What meets a batch must have its number of rows, or none."


def _interpret_alone(
    inputs: Sequence[Variable], output: Variable, values: Sequence[np.ndarray]
) -> Any:
    """The value of one term, or the words of the check that it fails."""
    try:
        return interpret(inputs, [output], values)[0]
    except _FAILED_CHECKS as error:
        return f"{(str(error).splitlines() or [type(error).__name__])[0]} does not hold"


def _where_not_finite(model: pm.Model, term: Any, result: np.ndarray) -> str:
    """Value of a term that is not finite, with the first datum responsible if it is observed."""
    entries = np.argwhere(~np.isfinite(result))
    if not len(entries):
        return str(np.sum(result))
    first = tuple(int(i) for i in entries[0])
    what = str(result[first])
    if np.ndim(result):
        what += f" at {len(entries)} of {np.size(result)} entries, first at {list(first)}"
    data = model.rvs_to_values.get(term) if term in model.observed_RVs else None
    observed = (
        data.data if isinstance(data, Constant) else getattr(data, "get_value", lambda: None)()
    )
    if observed is not None and np.shape(observed) == np.shape(result):
        what += f", observed {np.asarray(observed)[first]}"
    return what


def _responsible(
    model: pm.Model, terms: Sequence[Variable], point: Mapping[str, np.ndarray]
) -> str:
    """Start values of the free variables on which the bad terms depend."""
    lines = []
    used = set(ancestors(terms))
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        if variable in used:
            lines.append(
                f"{value.name} = "
                f"{np.array2string(np.asarray(point[value.name]), threshold=6, precision=4)}"
            )
    return f"They depend on: {'; '.join(lines)}. " if lines else ""
