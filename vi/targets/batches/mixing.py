"""Whether N / B is right: each row's part of a term must depend on that row alone."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
from pymc.variational.minibatch_rv import MinibatchRandomVariable, get_scaling
from pytensor.tensor import as_tensor

from vi.foundation.tracing_errors import first_line
from vi.graphs.interpret import interpret, interpreted
from vi.targets.batches.picks import Pick, pick_rows
from vi.targets.batches.rows import Rows, StreamedRows
from vi.targets.model.shapes import initial_point

__all__ = ["check_mixing", "not_drawn_together"]

TOLERANCE = 1e-4
"""Relative difference of a row's parts above which they are not the same.

Rounding of a term's few operations in float32 lies far below it. What mixes rows (a mean, a
cumulative sum) changes a part by about 1 / B of itself and more, unless batches are huge.
"""

ATTEMPTS = 3
"""Batches that are looked at: one may happen to hold the row that decides, a maximum say."""

MOVED = 0.5
"""Standard deviation of the noise by which points lie beside the initial one.

There coefficients are 0 and hide what they multiply.
"""


class Verdict(enum.Enum):
    """What was seen of a term and its rows."""

    ROW_BY_ROW = enum.auto()
    """Each row's part depends on that row alone: N / B is right."""

    MIXED = enum.auto()
    """The part of a row changes with the other rows."""

    NOT_DRAWN_TOGETHER = enum.auto()
    """Two batches that are drawn independently meet along one axis."""

    OTHER_DATA = enum.auto()
    """Rows of a batch have other parts than the same rows of the full data."""


def check_mixing(
    model: pm.Model,
    variable: Any,
    term: Any,
    batches: Sequence[Rows | StreamedRows],
    whole: Any,
    scale: Any,
    local: Mapping[Any, Rows],
) -> None:
    """Refuse terms in which the part of a row changes with the other rows of the batch.

    The term is computed for a few batches, each of them also in reverse order, with half of its
    rows exchanged, and among many more rows: the parts of the same rows must be the same. Where the
    full data are at hand, they must also be those of the full data.

    Parameters
    ----------
    model : pymc.Model
        The model.
    variable : TensorVariable
        The observed variable or Potential whose term it is.
    term : TensorVariable
        Its log density, unsummed, as a function of value variables and rows.
    batches : sequence of Rows or StreamedRows
        The batches on which the term depends.
    whole : TensorVariable or None
        The term of the full data, where these are the data of the batches.
    scale : "rows", dict or None
        What the user says of scales; a term that a dict names is not looked at.
    local : mapping of {value variable: Rows}
        The rows of local variables, whose values go with the row.

    Raises
    ------
    ValueError
        If the term mixes rows, if two batches that are not drawn together meet along one axis, or
        if the batch was made from other data.
    """
    name = variable.name
    if isinstance(scale, Mapping) and name in scale:
        # A scale by name is a statement about this very term, and the way past this check: a
        # user may have good reasons to approximate.
        return
    look = _Look(model, variable, term, batches, local)
    try:
        verdict = look.verdict(whole)
    except (TypeError, IndexError) as error:
        raise ValueError(f"{_mixes(name)} ({first_line(error)})") from error
    except ValueError as error:
        raise ValueError(
            f"{name!r} cannot be computed for a batch: {first_line(error)}. Are all data of the "
            "same rows batches that are drawn together "
            "(X_batch, y_batch = vi.Minibatch(X, y, batch_size=...))? A shape that is written as a "
            "number must be the batch's."
        ) from error
    if verdict is not Verdict.ROW_BY_ROW:
        raise ValueError(_TEXTS[verdict](name))


class _Look:
    """A term, computed for batches of rows.

    Its methods raise what the model's operations raise: shapes that do not fit, say.
    """

    def __init__(
        self,
        model: pm.Model,
        variable: Any,
        term: Any,
        batches: Sequence[Rows | StreamedRows],
        local: Mapping[Any, Rows],
    ) -> None:
        self.model = model
        self.variable = variable
        self.batches = batches
        self.local = local
        self.generator = np.random.default_rng(0)
        point = {
            name: value + MOVED * self.generator.normal(size=np.shape(value))
            for name, value in initial_point(model).items()
        }
        self.values = [np.asarray(point[v.name], v.dtype) for v in model.value_vars]
        inputs = [*model.value_vars, *(mark for rows in batches for mark in rows.marks)]
        self.function = interpreted(inputs, [as_tensor(term, allow_xtensor_conversion=True)])

    def verdict(self, whole: Any) -> Verdict:
        """What a few batches say, and the full data where they are given."""
        for _ in range(ATTEMPTS):
            picks = [pick_rows(rows, self.generator) for rows in self.batches]
            first = self._parts(picks)
            for i in range(len(picks)):
                if not self._row_by_row(picks, i, first):
                    return Verdict.MIXED if len(picks) == 1 else Verdict.NOT_DRAWN_TOGETHER
        alone = len(self.batches) == 1 and isinstance(self.batches[0], Rows)
        if whole is not None and alone and not self._fits(whole, first, picks[0].first):
            return Verdict.OTHER_DATA
        return Verdict.ROW_BY_ROW

    def _row_by_row(self, picks: Sequence[Pick], i: int, first: Any) -> bool:
        """Whether along some axis the parts of rows stay when batch ``i`` has others beside."""
        pick = picks[i]
        size, half = pick.rows.size, pick.rows.size // 2
        reverse, shared = self._parts(picks, i, "reverse"), self._parts(picks, i, "shared")
        try:
            more = self._parts(picks, i, "more")
        except (TypeError, ValueError, IndexError):
            more = None  # the length of a batch is written as a number: nothing to compare with
        among = pick.before + np.arange(size)
        return any(
            _same(np.flip(first, axis), reverse)
            and _same(np.take(first, range(half), axis), np.take(shared, range(half), axis))
            and (more is None or _same(first, np.take(more, among, axis)))
            for axis, n in enumerate(np.shape(first))
            if n == size
        )

    def _parts(self, picks: Sequence[Pick], changed: int | None = None, kind: str = "") -> Any:
        """The unsummed term for the first rows of all picks, but for other rows of one of them."""
        kinds = [kind if i == changed else "first" for i in range(len(picks))]
        numbers = {p.rows: p.numbers(kind) for p, kind in zip(picks, kinds, strict=True)}
        values = [
            _local_value(value, numbers.get(self.local[v], np.arange(self.local[v].size)))
            if v in self.local
            else value
            for v, value in zip(self.model.value_vars, self.values, strict=True)
        ]
        rows = [array for p, kind in zip(picks, kinds, strict=True) for array in p.arrays(kind)]
        return self.function(*values, *rows)[0]

    def _fits(self, whole: Any, batch: Any, rows: np.ndarray) -> bool:
        """Whether the parts of a batch are those of the same rows of the full data."""
        values = [
            _local_value(value, np.arange(len(value))) if v in self.local else value
            for v, value in zip(self.model.value_vars, self.values, strict=True)
        ]
        term = as_tensor(whole, allow_xtensor_conversion=True)
        full = np.asarray(interpret(self.model.value_vars, [term], values)[0])
        if not full.ndim or len(full) <= rows.max():
            return False
        return _same((full / _total_size_factor(self.variable, self.model))[rows], batch)


def _local_value(point: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Values of a local variable ``(len(rows), ...)`` that are functions of the row numbers.

    They lie around those of the first row of ``point``, within its support as a rule.
    """
    generator = np.random.default_rng(1)
    frequency, phase = generator.uniform(0.5, 3.0, size=(2, *np.shape(point)[1:]))
    values = point[0] + 0.7 * np.cos(np.multiply.outer(rows + 1.0, frequency) + phase)
    return np.asarray(values, point.dtype)


def _total_size_factor(variable: Any, model: pm.Model) -> float:
    """What ``total_size`` multiplies the term of the full data by."""
    if variable.owner is None or not isinstance(variable.owner.op, MinibatchRandomVariable):
        return 1.0
    scaling = get_scaling(variable.owner.inputs[1:], model.rvs_to_values[variable].shape)
    return float(interpret([], [scaling], [])[0])


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=TOLERANCE, equal_nan=True))


def not_drawn_together(name: str) -> str:
    """What is said of batches that are drawn independently of each other."""
    return (
        f"{name!r} sees two minibatches whose rows are not drawn together and meet along one axis, "
        "so that no scale makes it right. Make them in one call: "
        "X_batch, y_batch = vi.Minibatch(X, y, batch_size=...)."
    )


def _mixes(name: str) -> str:
    return (
        f"log p of {name!r} for a batch of rows is not that of the same rows of the full data, so "
        "that no scale makes it right: the model mixes rows (a mean or a cumulative sum over the "
        "data), or a variable of fixed length meets the batch. Compute such things before, from "
        "the full data; a variable with one entry a row is local: vi.Group([...], local=True). "
        f"scale={{{name!r}: 'rows'}} skips this check."
    )


def _other_data(name: str) -> str:
    return (
        f"log p of {name!r} for a batch of rows is not that of the same rows of the full data, so "
        "that no scale makes it right. Either the minibatch was made from other data, or the model "
        "mixes rows (a mean or a cumulative sum over the data): compute such things before, from "
        "the full data."
    )


_TEXTS = {
    Verdict.MIXED: _mixes,
    Verdict.NOT_DRAWN_TOGETHER: not_drawn_together,
    Verdict.OTHER_DATA: _other_data,
}
