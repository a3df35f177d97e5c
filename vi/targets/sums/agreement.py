"""Whether weighted rows give a term's sum and its gradient: computed at several points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable

from vi.graphs.interpret import interpreted
from vi.graphs.wrapped_jax import with_jax_ops
from vi.targets.model.shapes import initial_point

__all__ = ["Agreement"]

POINTS, POINTS_OF_MANY, MANY = 4, 2, 10**6
"""Points at which sums are compared: fewer where the data are more numbers than the last."""

MOVED = 0.5
"""Standard deviation of the noise by which they lie beside the initial one."""

PICKED = 16
"""Rows that are computed among themselves, to see whether each counts for itself."""

TOLERANCE = 1e-10
"""Of the gradient's norm, of the sum of all parts' sizes, and of a part."""

type _Found = Sequence[tuple[np.ndarray, np.ndarray]]
"""At each point, the parts of the term and its gradient."""


class Agreement:
    """A term, and the same term of any rows.

    Its methods raise what the model's operations raise: shapes that do not fit, say.

    Parameters
    ----------
    model : pymc.Model
        The model.
    values : sequence of Variable
        The value variables that the term reads.
    term : TensorVariable
        The term, unsummed.
    marks : sequence of TensorVariable
        What stands for the data.
    of_marks : TensorVariable
        The term of any rows.
    entries : int
        How many numbers its data are.
    """

    def __init__(
        self,
        model: pm.Model,
        values: Sequence[Variable],
        term: Any,
        marks: Sequence[Any],
        of_marks: Any,
        entries: int,
    ) -> None:
        generator = np.random.default_rng(0)
        point = initial_point(model)
        self._points = [
            [
                np.asarray(
                    point[v.name] + MOVED * generator.normal(size=np.shape(point[v.name])),
                    v.dtype,
                )
                for v in values
            ]
            for _ in range(POINTS if entries <= MANY else POINTS_OF_MANY)
        ]
        term, of_marks = with_jax_ops([term, of_marks])
        weights = pt.vector("weights")
        by_row = weights.reshape((-1, *(1,) * (of_marks.ndim - 1)))
        self._term = interpreted(values, [term, *_gradient(term.sum(), values)])
        self._of_marks = interpreted([*values, *marks], [of_marks])
        weighted = (of_marks * by_row).sum()
        self._weighted = interpreted(
            [*values, *marks, weights], [weighted, *_gradient(weighted, values)]
        )
        self._generator = generator

    def holds(
        self, rows: Sequence[np.ndarray], few: Sequence[np.ndarray], weights: np.ndarray
    ) -> bool:
        """Whether the few rows can stand for all, the present data of the term."""
        found = []
        for at in self._points:
            parts, *slopes = self._term(*at)
            found.append((np.asarray(parts), _flat(slopes)))
        return self._row_by_row(found, rows) and self._of_sums(found, few, weights)

    def _row_by_row(self, found: _Found, rows: Sequence[np.ndarray]) -> bool:
        """Whether the part of a row is the same among other rows, however many of these."""
        picked = self._generator.integers(len(rows[0]), size=PICKED)
        some = [np.ascontiguousarray(array[picked]) for array in rows]
        for at, (parts, _) in zip(self._points, found, strict=True):
            if parts.shape[0] != len(rows[0]):
                return False
            alone = np.asarray(self._of_marks(*at, *some)[0])
            if alone.shape != (PICKED, *parts.shape[1:]):
                return False
            if not np.allclose(
                alone, parts[picked], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
            ):
                return False
        return True

    def _of_sums(self, found: _Found, few: Sequence[np.ndarray], weights: np.ndarray) -> bool:
        """Whether sum and gradient are those of all rows, at all points where these are finite."""
        compared = 0
        for at, (parts, slopes) in zip(self._points, found, strict=True):
            if not (np.isfinite(parts).all() and np.isfinite(slopes).all()):
                continue
            total, *others = self._weighted(*at, *few, weights)
            off = abs(float(total) - float(parts.sum()))
            if not off <= TOLERANCE * np.abs(parts).sum():
                return False
            if not np.linalg.norm(_flat(others) - slopes) <= TOLERANCE * np.linalg.norm(slopes):
                return False
            compared += 1
        return compared > 1


def _gradient(scalar: Any, values: Sequence[Any]) -> list[Any]:
    slopes: list[Any] = pt.grad(scalar, list(values), disconnected_inputs="ignore")
    return slopes


def _flat(slopes: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(slope) for slope in slopes])
