"""A term of a log density as a sum over few weighted rows, where these give exactly the same."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import ancestors, graph_inputs, toposort
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.type import TensorType

from vi.graphs.interpret import interpret
from vi.graphs.lengths import rebuild_with_other_lengths, without_broadcasts
from vi.graphs.self_advancing import Counter
from vi.targets.sums.agreement import Agreement
from vi.targets.sums.degree import degree, is_elementwise
from vi.targets.sums.derived import DOES_NOT_FIT, Derivation, derived
from vi.targets.sums.weighted_rows import Columns, weighted_rows

__all__ = ["say_if_all_rows_are_cheaper", "sum_over_few_rows"]

logger = logging.getLogger("vi")

LEAST = 100
"""Rows from which on it is tried: a sum over fewer costs next to nothing."""

SHARE = 0.5
"""The part of the rows that may be left at the most."""


def sum_over_few_rows(model: pm.Model, name: str, term: Any) -> Any:
    """The sum of a term over its rows as one over fewer, weighted ones; None where there are none.

    What depends on the data alone is looked for in the term's graph, and how the term depends on
    it: :func:`~vi.targets.sums.weighted_rows.weighted_rows` says when few rows do for all. What it
    finds is compared with the term itself, at several points, before it is taken.

    Parameters
    ----------
    model : pymc.Model
        The model.
    name : str
        Of the observed variable or Potential.
    term : TensorVariable
        Its log density, unsummed, of value variables and all rows of the data.

    Returns
    -------
    TensorVariable or None
        A scalar that reads few rows and their weights from shared variables, which follow the data.
    """
    whole, term = term, without_broadcasts(term)
    if not isinstance(term.type, TensorType) or term.ndim == 0 or term.dtype != "float64":
        return None
    inputs = list(graph_inputs([term]))
    moving = [variable for variable in inputs if _moves(variable)]
    if not moving or not set(moving) <= set(model.value_vars):
        return None
    try:
        rows = _rows_of(term, moving)
        few = rows.weighted(SHARE) if rows is not None else None
        if rows is None or few is None:
            return None
        marks = [pt.tensor(dtype=value.dtype, shape=(None, *value.shape[1:])) for value in few[0]]
        of_marks = rebuild_with_other_lengths(
            [term], dict(zip(rows.variables, marks, strict=True))
        )[0]
        entries = sum(array.size for array in rows.values())
        agreement = Agreement(model, moving, whole, marks, of_marks, entries)
        if not agreement.holds(rows.values(), *few):
            return None
    except DOES_NOT_FIT:
        return None

    def holds(values: tuple[np.ndarray, ...]) -> bool:
        *found, of_each = values
        try:
            return agreement.holds(rows.values(), found, of_each)
        except DOES_NOT_FIT:
            return False

    *stand_ins, weights = derived(
        Derivation(rows.shared, rows.computed, (*few[0], few[1]), holds, name),
        [*(variable.name or name for variable in rows.variables), f"{name} weights"],
    )
    stood = rebuild_with_other_lengths([term], dict(zip(rows.variables, stand_ins, strict=True)))[0]
    logger.info(
        "The %s rows of %s count as %s weighted ones, which give the same sum (rewrite=False reads "
        "all).",
        *(f"{rows.count:,}", name, f"{len(few[1]):,}"),
    )
    return (stood * weights.reshape((-1, *(1,) * (stood.ndim - 1)))).sum()


def say_if_all_rows_are_cheaper(model: pm.Model, name: str, term: Any, size: int) -> None:
    """Log that a batch reads more than all rows would, whose sum follows from a few of them.

    Only the degree is looked at, so that nothing is computed from the data: whoever leaves out the
    minibatch gets what :func:`sum_over_few_rows` finds.

    Parameters
    ----------
    model : pymc.Model
        The model.
    name : str
        Of the observed variable or Potential.
    term : TensorVariable
        Its log density, unsummed, of value variables and all rows of the data.
    size : int
        Rows of a batch.
    """
    term = without_broadcasts(term)
    moving = [variable for variable in graph_inputs([term]) if _moves(variable)]
    if not moving or not set(moving) <= set(model.value_vars):
        return
    fixed = _of_data_alone(term, moving)
    variables = [variable for variable in fixed if variable.type.shape[0] != 1]
    if not variables or degree(term, variables, fixed=fixed) > 2:
        return
    alone = [v for v in variables if is_elementwise(term, v, fixed=fixed)]
    separate = sorted(alone, key=_width)[-1:]
    # a mean and what lies around it: one row in each direction, and one
    if 2 + sum(_width(v) for v in variables if v not in separate) < size:
        logger.info(
            "All rows of %s are cheaper than a batch of %s: their sum is that of a few weighted "
            "rows, and has no noise. Write the model without the minibatch.",
            name,
            f"{size:,}",
        )


@dataclass(frozen=True, eq=False)
class _Rows:
    """What a term reads row by row: graphs of the data alone, by how the term depends on them.

    Parameters
    ----------
    keys, joint : list of TensorVariable
        As in :class:`~vi.targets.sums.weighted_rows.Columns`.
    separate : list of TensorVariable
        One, or none.
    """

    keys: list[Any]
    joint: list[Any]
    separate: list[Any]

    @property
    def variables(self) -> list[Any]:
        """All of them."""
        return [*self.keys, *self.joint, *self.separate]

    @property
    def shared(self) -> list[SharedVariable]:
        """The shared variables from which they are computed."""
        return [v for v in ancestors(self.variables) if isinstance(v, SharedVariable)]

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.values()[0])

    def values(self) -> list[np.ndarray]:
        """Their present values."""
        return _values(self.variables)

    def weighted(
        self, share: float | None = None
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray] | None:
        """Few rows and their weights; None if more than that share would be left."""
        values = self.values()
        lengths = {len(value) for value in values}
        if len(lengths) > 1:
            names = ", ".join(variable.name or "data" for variable in self.variables)
            raise ValueError(f"{names} have different numbers of rows: {sorted(lengths)}.")
        k, j = len(self.keys), len(self.keys) + len(self.joint)
        columns = Columns(values[:k], values[k:j], values[j] if self.separate else None)
        most = None if share is None else int(share * len(columns))
        found = weighted_rows(columns, most)
        return None if found is None else (tuple(found[0].arrays), found[1])

    def computed(self) -> tuple[np.ndarray, ...] | None:
        """The same as one tuple, however many rows are left."""
        found = self.weighted()
        return None if found is None else (*found[0], found[1])


def _rows_of(term: Any, moving: Sequence[Variable]) -> _Rows | None:
    """What the term reads row by row; None where that is not much."""
    variables = _of_data_alone(term, moving)
    held = [variable for variable in graph_inputs(variables) if not _moves(variable)]
    if not any(np.size(_held(variable)) >= LEAST for variable in held):
        return None
    values = dict(zip(variables, _values(variables), strict=True))
    count = max((len(value) for value in values.values()), default=0)
    values = {variable: value for variable, value in values.items() if len(value) == count}
    if count < LEAST:
        return None
    floats = [v for v, value in values.items() if _has_mean(value)]
    floats.sort(key=lambda variable: -values[variable].size)
    squares: list[Any] = []
    for variable in floats:
        if degree(term, [*squares, variable], fixed=variables) <= 2:
            squares.append(variable)
    widths = {variable: values[variable].size // count for variable in squares}
    alone = [v for v in squares if widths[v] == 1 or is_elementwise(term, v, fixed=variables)]
    separate = sorted(alone, key=lambda variable: -widths[variable])[:1]
    joint = [variable for variable in squares if variable not in separate]
    return _Rows([variable for variable in values if variable not in squares], joint, separate)


def _of_data_alone(term: Any, moving: Sequence[Variable]) -> list[Any]:
    """The largest graphs with rows, within that of the term, in which nothing moves."""
    found: dict[Any, None] = {}
    moved = set(moving)
    for node in toposort([term]):
        if moved.isdisjoint(node.inputs):
            continue
        moved.update(node.outputs)
        for variable in node.inputs:
            if variable not in moved and isinstance(variable.type, TensorType) and variable.ndim:
                found[variable] = None
    return list(found)


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Their present values; what lies in memory is not copied."""
    computed = [variable for variable in variables if variable.owner is not None]
    by_graph = dict(zip(computed, interpret([], computed, []) if computed else [], strict=True))
    return [np.asarray(by_graph[v] if v in by_graph else _held(v)) for v in variables]


def _width(variable: Any) -> int:
    """Entries of a row of it, as far as they are known without computing it."""
    shape = variable.type.shape if variable.owner is not None else np.shape(_held(variable))
    return math.prod(1 if n is None else n for n in shape[1:])


def _has_mean(value: np.ndarray) -> bool:
    return np.issubdtype(value.dtype, np.floating) and bool(np.isfinite(value.sum()))


def _held(variable: Any) -> Any:
    return variable.data if isinstance(variable, Constant) else variable.get_value(borrow=True)


def _moves(variable: Any) -> bool:
    """Whether an input of a graph is no data."""
    if isinstance(variable, SharedVariable):
        return isinstance(variable, Counter) or isinstance(variable.type, RandomType)
    return not isinstance(variable, Constant)
