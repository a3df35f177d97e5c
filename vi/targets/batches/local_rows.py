"""Local variables, with a value for every row: how many rows they have, which a batch brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors

from vi.algorithms.base import RowsOfStep
from vi.foundation.layout import Layout
from vi.graphs.interpret import interpret
from vi.graphs.lengths import with_open_rows
from vi.targets.base import StepInputs
from vi.targets.batches.rows import Rows
from vi.targets.batches.search import Batches, find_batches
from vi.targets.model.shapes import initial_point, rv_shapes

__all__ = [
    "LocalRows",
    "all_rows",
    "observed_data_of",
    "of_any_length",
    "rows_in_all",
    "rows_of_locals",
    "training_rows",
    "with_rows",
]


def rows_in_all(model: pm.Model, names: Sequence[str]) -> dict[str, int]:
    """How many rows local variables have in all: their minibatch's, or else their own.

    Raises
    ------
    ValueError
        If a variable has no rows, or other ones than the minibatches that it meets.
    """
    lengths = _own_lengths(model, names)
    met, _ = _met(model, names, {})
    in_all = {}
    for name, length in lengths.items():
        fit = [rows for rows in met[name] if rows.size == length]
        in_all[name] = _one(name, length, fit, met[name]).count() if met[name] else length
    return in_all


def training_rows(
    model: pm.Model, in_all: Mapping[str, int], replacements: Mapping[Any, Any]
) -> dict[str, Rows]:
    """The rows with which each local variable goes while training.

    Raises
    ------
    ValueError
        If there are none, or they are not those of the variable.
    """
    met, _ = _met(model, list(in_all), replacements)
    lengths = _own_lengths(model, list(in_all))
    rows_by_name = {}
    for name, n in in_all.items():
        if not met[name]:
            raise ValueError(
                f"{name!r} is local, but no minibatch reaches it, so that every step sees all of "
                "its rows. Leave local and encoder out of its group, or fit with batches: "
                "x = vi.Minibatch(X, batch_size=...) in the model or in more_replacements, or "
                "fit(data={'x': X}, batch_size=...)."
            )
        fit = [rows for rows in met[name] if rows.count() == n]
        if lengths[name] != n:  # the model is written for a batch
            fit = [rows for rows in fit if rows.size == lengths[name]]
        rows = _one(name, n, fit, met[name])
        if rows.sampling.short_last:
            raise ValueError(
                f"{name!r} is local and needs batches of one size: leave out short_last=True of "
                "its minibatch, or take drop_last=True."
            )
        rows_by_name[name] = rows
    return rows_by_name


def rows_of_locals(
    model: pm.Model, graphs: Sequence[Any], found: Batches, setting: Any
) -> dict[str, Rows]:
    """The rows with which each local variable of a setting goes.

    Parameters
    ----------
    model : pymc.Model
        The model.
    graphs : sequence of variables
        Terms of the log density, then the values of the same variables.
    found : Batches
        The minibatches that were found in them.
    setting : Setting
        What the graphs are made for.
    """
    met = _met_in(model, setting.locals, graphs, found)
    return {
        name: _one(
            name,
            n,
            [rows for rows in met[name] if (rows.size, rows.count()) == (size, n)],
            met[name],
        )
        for name, (size, n) in setting.locals.items()
    }


def of_any_length(model: pm.Model, names: Iterable[str]) -> pm.Model:
    """The same model with value variables of an open number of rows for local variables.

    PyMC fixes shapes while a model is written, for a batch or for all rows; a target has either.
    """
    fixed = {model[name]: model.rvs_to_values[model[name]] for name in names}
    if not fixed:
        return model
    new = {rv: with_open_rows(value) for rv, value in fixed.items()}
    twin = object.__new__(type(model))
    twin.__dict__.update(model.__dict__)
    twin.rvs_to_values = {**model.rvs_to_values, **new}
    twin.values_to_rvs = {value: rv for rv, value in twin.rvs_to_values.items()}
    return twin


def with_rows(point: Mapping[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
    """A point of the model with as many rows of local variables as a layout has.

    They are the point's first rows, or all of them again and again.
    """
    return {slot.value_name: np.resize(point[slot.value_name], slot.shape) for slot in layout}


def observed_data_of(model: pm.Model, names: Sequence[str]) -> tuple[Any, ...]:
    """The observed values of the likelihoods that depend on some variables."""
    likelihoods = model.observed_RVs
    terms = model.logp(likelihoods, sum=False) if likelihoods else []
    wanted = {model.rvs_to_values[model[name]] for name in names}
    return tuple(
        model.rvs_to_values[variable]
        for variable, term in zip(likelihoods, terms, strict=True)
        if not wanted.isdisjoint(ancestors([term]))
    )


def all_rows(graphs: Sequence[Any], replacements: Mapping[Any, Any]) -> list[np.ndarray]:
    """Values of data with all rows in place of batches."""
    replaced = (
        clone_replace(list(graphs), replace=dict(replacements)) if replacements else list(graphs)
    )
    return [
        np.asarray(value)
        for value in interpret([], find_batches(replaced).swapped(replaced, full=True), [])
    ]


class LocalRows:
    """What the steps of a target say of the rows of its local variables.

    Parameters
    ----------
    graph : ModelGraph
        The model's graphs.
    compile_ : callable
        Takes graphs; returns a function that computes them from what the log density reads besides
        the point.
    """

    def __init__(self, graph: Any, compile_: Callable[[list[Any]], Callable[..., Any]]) -> None:
        # by variable: its place among the step's minibatches, and how many tensors an encoder reads
        self._place = {name: graph.rows.index(rows) for name, rows in graph.local.items()}
        self._n_inputs = {name: len(graphs) for name, graphs in graph.encoded.items()}
        encoder_inputs = [data for graphs in graph.encoded.values() for data in graphs]
        self._function = compile_(encoder_inputs) if encoder_inputs and graph.local else None

    def __call__(self, inputs: StepInputs) -> dict[str, RowsOfStep]:
        """The rows of a step, by local variable."""
        values = iter(() if self._function is None else self._function(*inputs.values))
        encoded = {
            name: tuple(next(values) for _ in range(n)) for name, n in self._n_inputs.items()
        }
        return {
            name: RowsOfStep(inputs.rows[place], encoded.get(name, ()))
            for name, place in self._place.items()
        }


def _own_lengths(model: pm.Model, names: Sequence[str]) -> dict[str, int]:
    """First axes of local variables as the model has them."""
    shapes = initial_point(model)
    lengths = {}
    for name in names:
        value = model.rvs_to_values[model[name]]
        constrained, shape = rv_shapes(model)[name], np.shape(shapes[value.name])
        if not shape:
            raise ValueError(
                f"{name!r} is a scalar; a local variable has one entry a row: "
                "shape=(x.shape[0], ...)."
            )
        if shape[0] != constrained[0]:
            raise ValueError(
                f"{name!r} has {constrained[0]} rows, and its unconstrained value {shape[0]}: the "
                "transform mixes rows. Give it one that acts on each row alone, or leave local out "
                "of its group."
            )
        lengths[name] = int(shape[0])
    return lengths


def _met(
    model: pm.Model, names: Sequence[str], replacements: Mapping[Any, Any]
) -> tuple[dict[str, Any], Batches]:
    """The minibatches that each local variable meets in a term of the log density."""
    variables = [*model.free_RVs, *model.observed_RVs, *model.potentials]
    terms = model.logp(variables, sum=False)
    values = [
        model.rvs_to_values.get(variable, term)
        for variable, term in zip(variables, terms, strict=True)
    ]
    graphs = [*terms, *values]
    graphs = clone_replace(graphs, replace=dict(replacements)) if replacements else graphs
    found = find_batches(graphs)
    return _met_in(model, names, graphs, found), found


def _met_in(
    model: pm.Model, names: Any, graphs: Sequence[Any], found: Batches
) -> dict[str, tuple[Rows, ...]]:
    """The minibatches that each local variable meets, in terms and values of the log density."""
    half = len(graphs) // 2  # terms, then the values of the same variables
    by_name = {}
    for name in names:
        value = model.rvs_to_values[model[name]]
        meeting = [i for i in range(half) if value in set(ancestors([graphs[i]]))]
        batches = [
            rows
            for i in meeting
            for graph in (graphs[i], graphs[half + i])
            for rows in found.seen_by(graph)
        ]
        by_name[name] = tuple(dict.fromkeys(batches))
    return by_name


def _one(name: str, length: int, fit: Sequence[Rows], met: Sequence[Rows]) -> Rows:
    """The only rows that fit a local variable."""
    sizes = " and ".join(f"batches of {rows.size} of {rows.count()} rows" for rows in met)
    if not fit:
        raise ValueError(
            f"The local variable {name!r} has {length} rows, and the model's data {sizes}. Give it "
            "the rows of the batch (shape=(x.shape[0], ...) with x = vi.Minibatch(...)), or, in a "
            "model of the full data, theirs."
        )
    if len(fit) > 1:
        raise ValueError(
            f"The local variable {name!r} meets {sizes}, and both fit its {length} rows. Take "
            "another batch_size for one of them, or make them in one call, "
            "vi.Minibatch(X, Y, batch_size=...), if their rows belong together."
        )
    return fit[0]
