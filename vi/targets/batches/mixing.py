"""Whether N / B is right: a term may be scaled only if each row's part of it depends on that row
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
from pytensor.tensor import as_tensor

from vi.foundation.tracing_errors import first_line
from vi.graphs.interpret import interpret, interpreted
from vi.targets.batches.found import Fed, Rows

__all__ = ["apart", "check_mixing"]

TOLERANCE = 1e-4

ATTEMPTS = 3
"""Batches that are looked at: one may happen to hold the row that decides, a maximum say."""

MORE = 20_000
"""Up to so many rows a batch is also compared with all rows; of more, with some thousands."""


def check_mixing(
    model: pm.Model,
    variable: Any,
    term: Any,
    seen: Sequence[Rows | Fed],
    whole: Any,
    scale: Any,
    local: Mapping[Any, Rows],
) -> None:
    """Refuse terms in which the part of a row changes with the other rows of the batch.

    The term is computed for a few batches, each of them also in reverse order, with half of its
    rows exchanged, and among many more rows: the parts of the same rows must be the same. Where the
    full data are at hand (``whole``), they must also be those of the full data. Local variables
    (``local``) have values that go with the row.

    Raises
    ------
    ValueError
        If the term mixes rows, if two batches that are not drawn together meet along one axis, or
        if the batch was made from other data.
    """
    name = variable.name
    if isinstance(scale, Mapping) and name in scale:
        return  # the user knows
    generator = np.random.default_rng(0)
    # beside the initial point, where coefficients are 0 and hide what they multiply
    point = {
        n: value + 0.5 * generator.normal(size=np.shape(value))
        for n, value in model.initial_point().items()
    }
    fixed = [np.asarray(point[v.name], v.dtype) for v in model.value_vars]
    term = as_tensor(term, allow_xtensor_conversion=True)
    inputs = [*model.value_vars, *(mark for rows in seen for mark in rows.marks)]
    term_of = interpreted(inputs, [term])

    def value(picks: Sequence[_Pick], changed: int | None, kind: str) -> Any:
        kinds = [kind if i == changed else "first" for i in range(len(picks))]
        numbers = {pick.rows: pick.index(own) for pick, own in zip(picks, kinds, strict=True)}
        values = [
            _local_value(at, numbers.get(local[v], np.arange(local[v].size))) if v in local else at
            for v, at in zip(model.value_vars, fixed, strict=True)
        ]
        given = [v for pick, own in zip(picks, kinds, strict=True) for v in pick.values(own)]
        return term_of(*values, *given)[0]

    try:
        for _ in range(ATTEMPTS):
            picks = [_Pick(rows, generator) for rows in seen]
            first = value(picks, None, "first")
            for i, pick in enumerate(picks):
                axes = [axis for axis, n in enumerate(np.shape(first)) if n == pick.rows.size]
                reverse, shared = value(picks, i, "reverse"), value(picks, i, "shared")
                half = pick.rows.size // 2
                try:
                    more = value(picks, i, "more")
                except (
                    TypeError,
                    ValueError,
                    IndexError,
                ):  # the length of a batch is written as a number
                    more = None
                if not any(
                    _same(np.flip(first, axis), reverse)
                    and _same(np.take(first, range(half), axis), np.take(shared, range(half), axis))
                    and (
                        more is None
                        or _same(
                            first, np.take(more, pick.before + np.arange(pick.rows.size), axis)
                        )
                    )
                    for axis in axes
                ):
                    raise ValueError(_mixes(name) if len(picks) == 1 else apart(name))
        if whole is not None and len(seen) == 1 and isinstance(seen[0], Rows):
            values = [
                _local_value(at, np.arange(len(at))) if v in local else at
                for v, at in zip(model.value_vars, fixed, strict=True)
            ]
            full = interpret(
                model.value_vars, [as_tensor(whole, allow_xtensor_conversion=True)], values
            )[0]
            _check_against_full(
                name, np.asarray(full), np.asarray(first), picks[0].first, variable, model
            )
    except (TypeError, IndexError) as error:
        raise ValueError(f"{_mixes(name)} ({first_line(error)})") from error
    except ValueError as error:
        if "no scale" in str(error) or "other data" in str(error):
            raise
        raise ValueError(
            f"{name!r} cannot be computed for a batch: {first_line(error)}. Are all data of the same rows batches that "
            "are drawn together (X_batch, y_batch = vi.Minibatch(X, y, batch_size=...))? A shape that is written as a "
            "number must be the batch's."
        ) from error


class _Pick:
    """Row numbers, or rows, for the checks of one batch."""

    def __init__(self, rows: Rows | Fed, generator: np.random.Generator) -> None:
        self.rows = rows
        n = len(next(iter(rows.sample.values()))) if isinstance(rows, Fed) else rows.count()
        self.first = (
            generator.permutation(n)[: rows.size]
            if n < 10**7
            else generator.integers(n, size=rows.size)
        )
        if len(self.first) < rows.size:
            self.first = generator.integers(n, size=rows.size)
        half = rows.size // 2
        self.shared = np.concatenate(
            [self.first[:half], generator.integers(n, size=rows.size - half)]
        )
        rest = (
            np.arange(n) if n <= MORE else generator.integers(n, size=max(8 * rows.size, MORE // 8))
        )
        others = np.setdiff1d(rest, self.first)
        self.before = len(others) // 2
        self.more = np.concatenate([others[: self.before], self.first, others[self.before :]])

    def index(self, kind: str) -> np.ndarray:
        return {
            "first": self.first,
            "reverse": self.first[::-1],
            "shared": self.shared,
            "more": self.more,
        }[kind]

    def values(self, kind: str) -> list[np.ndarray]:
        index = self.index(kind)
        if isinstance(self.rows, Fed):
            return [
                np.ascontiguousarray(self.rows.sample[name][index]) for name in self.rows.inputs
            ]
        return [np.ascontiguousarray(index, np.int64)]


def _local_value(point: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Values of a local variable that are functions of the row numbers, around those of one row
    of a point.
    """
    generator = np.random.default_rng(1)
    frequency, phase = generator.uniform(0.5, 3.0, size=(2, *np.shape(point)[1:]))
    values = point[0] + 0.7 * np.cos(np.multiply.outer(rows + 1.0, frequency) + phase)
    return np.asarray(values, point.dtype)


def _check_against_full(
    name: str, full: np.ndarray, batch: np.ndarray, rows: np.ndarray, variable: Any, model: pm.Model
) -> None:
    """Refuse batches of other data than those in whose place they are put."""
    n_full = full.shape[0] if full.ndim else 1
    scaled = full / _own_scale(variable, model)
    if not full.ndim or n_full <= rows.max() or not _same(scaled[rows], batch):
        raise ValueError(
            f"log p of {name!r} for a batch of rows is not that of the same rows of the full data, so that no scale "
            "makes it right. Either the minibatch was made from other data, or the model mixes rows (a mean or a "
            "cumulative sum over the data): compute such things before, from the full data."
        )


def _own_scale(variable: Any, model: pm.Model) -> float:
    """What ``total_size`` multiplies the term of the full data by."""
    from pymc.variational.minibatch_rv import MinibatchRandomVariable, get_scaling

    if variable.owner is None or not isinstance(variable.owner.op, MinibatchRandomVariable):
        return 1.0
    scaling = get_scaling(variable.owner.inputs[1:], model.rvs_to_values[variable].shape)
    return float(interpret([], [scaling], [])[0])


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=TOLERANCE, equal_nan=True))


def apart(name: str) -> str:
    """What is said of batches that are not drawn together."""
    return (
        f"{name!r} sees two minibatches whose rows are not drawn together and meet along one axis, so that no scale "
        "makes it right. Make them in one call: X_batch, y_batch = vi.Minibatch(X, y, batch_size=...)."
    )


def _mixes(name: str) -> str:
    return (
        f"log p of {name!r} for a batch of rows is not that of the same rows of the full data, so that no scale makes "
        "it right: the model mixes rows (a mean or a cumulative sum over the data), or a variable of fixed length "
        "meets the batch. Compute such things before, from the full data; a variable with one entry a row is local: "
        f"vi.Group([...], local=True). scale={{{name!r}: 'rows'}} skips this check."
    )
