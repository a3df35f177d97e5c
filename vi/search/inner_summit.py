"""Where all but the globals are most likely, given those: Newton's method in a sparse pattern."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from vi.families import Structured
from vi.families.ties import ties_of
from vi.search.coloured import colouring
from vi.search.hessian_products import TOGETHER, hessian_products
from vi.search.sparse_factor import NotPositiveError, SparseFactor, conditionals
from vi.targets.backends.evaluation import evaluation
from vi.targets.base import Target

__all__ = ["Inner", "NoSummitError", "Summit"]

NEWTON_STEPS, HALVINGS = 50, 30

ENOUGH = 1e-9
"""Nats that a Newton step has to promise."""


class NoSummitError(ValueError):
    """Given some globals, or over all of them, there is no maximum that was found."""


class Summit(NamedTuple):
    """Given globals: where all others are most likely, and the marginal log density."""

    others: np.ndarray
    factor: SparseFactor
    value: float


@dataclass
class Inner:
    """Maximises over the others, given globals, by Newton's method in the pattern."""

    target: Target
    family: Structured
    products: int = field(default=0, init=False)
    last: np.ndarray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        family, dim = self.family, self.target.dim
        self.ties = ties_of(family.globals, family.parents, True)
        self.globals = np.array(family.globals, int)
        order = self.ties.order
        colours = colouring(_pattern_of(family), self.globals)
        self.directions = colours.directions()[len(self.globals) :]
        place = np.empty(dim, int)
        place[order] = np.arange(len(order))
        self.own = colours.colour[order]
        # of entries that only taking out makes there are none to be read
        entries = colours.entries
        read = set(zip(entries.row.tolist(), entries.col.tolist(), strict=True))
        ends = zip(order[self.ties.child].tolist(), order[self.ties.parent].tolist(), strict=True)
        self.there = np.array([pair in read for pair in ends], bool)
        self.multiply = hessian_products(self.target)
        self.evaluate = evaluation(self.target, 1)

    def point(self, at: np.ndarray, others: np.ndarray) -> np.ndarray:
        point = np.empty(self.target.dim)
        point[self.globals], point[self.ties.order] = at, others
        return point

    def points(self, at: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Points ``(K, D)`` from globals ``(K, g)`` and others ``(n, K)``."""
        points = np.empty((len(at), self.target.dim))
        points[:, self.globals], points[:, self.ties.order] = at, others.T
        return points

    def factor(self, point: np.ndarray) -> SparseFactor:
        """The factor of minus the Hessian; a ridge is added until there is one."""
        diagonal, along = (part[:, 0] for part in self.curvatures(point[None]))
        if not (np.isfinite(diagonal).all() and np.isfinite(along).all()):
            raise NoSummitError("the Hessian is not finite")
        if len(diagonal) and not np.abs(diagonal).max() > 0:
            raise NoSummitError("log p has no curvature")
        size = np.abs(diagonal) + 1e-8 * np.abs(diagonal).max(initial=0.0)
        for ridge in (0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0):
            try:
                return conditionals(self.ties, diagonal + ridge * size, along)
            except NotPositiveError:
                continue
        raise NoSummitError("minus the Hessian is not positive definite")

    def curvatures(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minus the Hessian at points ``(K, D)``: its diagonal ``(n, K)``, its ties ``(k, K)``."""
        count, colours = len(points), len(self.directions)
        self.products += count * colours
        order, ties = self.ties.order, self.ties
        answers = np.empty((colours, len(order), count))
        # always as many together, filled up: compiled once
        each = max(1, TOGETHER // max(colours, 1))
        for first in range(0, count, each):
            part = points[first : first + each]
            whole = count == 1 or len(part) == each
            filled = part if whole else np.resize(part, (each, points.shape[1]))
            found = self.multiply(
                np.repeat(filled, colours, axis=0), np.tile(self.directions, (len(filled), 1))
            )
            found = found.reshape(len(filled), colours, points.shape[1])[: len(part), :, order]
            answers[:, :, first : first + each] = -np.moveaxis(found, 0, 2)
        diagonal = answers[self.own, np.arange(len(order))]
        along = answers[self.own[ties.parent], ties.child]
        return diagonal, np.where(self.there[:, None], along, 0.0)

    def value_and_score(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        self.products += 1
        values, scores = self.evaluate(point[None])
        return float(values[0]), scores[0][self.ties.order]

    def summit(self, at: np.ndarray, others: np.ndarray) -> Summit:
        value, score = self.value_and_score(self.point(at, others))
        if not np.isfinite(value):
            raise NoSummitError("log p is not finite")
        for _ in range(NEWTON_STEPS):
            factor = self.factor(self.point(at, others))
            step = factor.solve(score)
            gain = 0.5 * float(score @ step)
            if not np.isfinite(gain):
                raise NoSummitError("a Newton step is not finite")
            if gain < ENOUGH * max(1.0, 1e-6 * abs(value)):
                # taken unseen: see `summits`
                others, value = others + step, value + gain
                break
            for halving in range(HALVINGS):
                there = others + 0.5**halving * step
                new, slope = self.value_and_score(self.point(at, there))
                if np.isfinite(new) and new > value:
                    others, value, score = there, new, slope
                    break
            else:
                break
        marginal = value - 0.5 * float(factor.log_det) + 0.5 * len(others) * np.log(2 * np.pi)
        return Summit(others, factor, marginal)


def _pattern_of(family: Structured) -> sp.csr_array:
    """A pattern that the family's ties allow, without the diagonal; all are tied to the globals."""
    own = ties_of(family.globals, family.parents, True)
    row, col = own.order[own.child], own.order[own.parent]
    wide = np.repeat(np.array(family.globals, int), len(own.order))
    others = np.tile(own.order, len(family.globals))
    row, col = np.concatenate([row, wide]), np.concatenate([col, others])
    entries = np.ones(2 * len(row), bool)
    shape = (own.dim, own.dim)
    return sp.csr_array((entries, (np.r_[row, col], np.r_[col, row])), shape)
