"""A sparse precision as conditionals: what a coordinate takes from its parents, and its scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vi.families.ties import Block, Ties

__all__ = [
    "NotPositiveError",
    "SparseFactor",
    "conditionals",
    "covariance_weights",
    "several_conditionals",
]


class NotPositiveError(ValueError):
    """The precision is not positive definite."""


class SparseFactor(NamedTuple):
    r"""``Q = (I - W)' S^-2 (I - W)`` with scales ``S`` and weights ``W`` along ties.

    Parameters
    ----------
    ties : Ties
        Those of an inverse factor.
    scale : numpy.ndarray
        ``(n,)``; of several precisions ``(n, K)``.
    weight : numpy.ndarray
        ``(k,)`` or ``(k, K)``, in the order of the ties.
    """

    ties: Ties
    scale: np.ndarray
    weight: np.ndarray

    @property
    def log_det(self) -> np.ndarray:
        """Of the precision; ``()``, or ``(K,)`` of several."""
        found: np.ndarray = -2.0 * np.sum(np.log(self.scale), axis=0)
        return found

    def some(self, which: np.ndarray) -> SparseFactor:
        """Those of these numbers, of several."""
        return SparseFactor(self.ties, self.scale[:, which], self.weight[:, which])

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution ``x`` of ``Q x = right``, ``(n,)`` or ``(n, K)``."""
        x = right.copy()
        for block in reversed(self.ties.blocks):
            weights = _by_parent(self.weight, block)
            for column, w in zip(block.parents.T, weights, strict=True):
                _add(x, column, w * x[block.place])
        return self._down(x * self.scale**2)

    def draw(self, noise: np.ndarray) -> np.ndarray:
        """Standard normal noise ``(n,)`` or ``(n, K)`` with covariance ``Q^-1``."""
        return self._down(noise * self.scale)

    def _down(self, x: np.ndarray) -> np.ndarray:
        """The solution ``y`` of ``(I - W) y = x``, in the place of ``x``, parents first."""
        for block in self.ties.blocks:
            weights = _by_parent(self.weight, block)
            for column, w in zip(block.parents.T, weights, strict=True):
                x[block.place] += w * x[column]
        return x


def conditionals(ties: Ties, diagonal: np.ndarray, along: np.ndarray) -> SparseFactor:
    """The factor of a precision with this diagonal ``(n,)`` and these entries along ties ``(k,)``.

    Raises
    ------
    NotPositiveError
        If it is not positive definite.
    """
    found = several_conditionals(ties, diagonal, along)
    if np.isnan(found.scale).any():
        raise NotPositiveError("a conditional precision is not positive")
    return found


def several_conditionals(ties: Ties, diagonal: np.ndarray, along: np.ndarray) -> SparseFactor:
    """The same of several, ``(n, K)`` and ``(k, K)``: NaN where one is not positive definite."""
    diagonal, along = diagonal.copy(), along.copy()
    scale, weight = np.empty_like(diagonal), np.empty_like(along)
    for block in reversed(ties.blocks):
        own = diagonal[block.place]
        own = np.where(own > 0, own, np.nan)
        scale[block.place] = 1.0 / np.sqrt(own)
        columns = block.parents.T
        entries = _by_parent(along, block)
        weight[block.ties] = (-entries / own).reshape(weight[block.ties].shape)
        pairs = iter(block.pairs)
        for a, column in enumerate(columns):
            _add(diagonal, column, -(entries[a] ** 2) / own)
            for b in range(a + 1, len(columns)):
                _add(along, next(pairs), -entries[a] * entries[b] / own)
    return SparseFactor(ties, scale, weight)


def _by_parent(of_ties: np.ndarray, block: Block) -> np.ndarray:
    """Those of a block, ``(parents, size, ...)``."""
    return of_ties[block.ties].reshape((*block.parents.T.shape, *of_ties.shape[1:]))


def _add(to: np.ndarray, index: np.ndarray, values: np.ndarray) -> None:
    """Add values at places of which some may come more than once."""
    if values.ndim == 1:
        np.add.at(to, index, values)
        return
    places = np.unique(index)
    if len(places) == len(index):
        to[index] += values
        return
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(index[order]) > 0])
    to[places] += np.add.reduceat(values[order], starts, axis=0)


def covariance_weights(factor: SparseFactor) -> np.ndarray:
    """The weights of the noise, ``(k,)``, where all coordinates of a group are tied to each other.

    Row by row of ``M = (I - W)^-1 S``: what a coordinate takes from its parents' own noise.
    """
    ties, found = factor.ties, np.zeros_like(factor.weight)
    for block in ties.blocks:
        columns = block.parents.T
        weights = factor.weight[block.ties].reshape(columns.shape)
        pairs = iter(block.pairs)
        own = np.array([w * factor.scale[c] for w, c in zip(weights, columns, strict=True)])
        for a in range(len(columns)):
            for b in range(a + 1, len(columns)):
                # parents are sorted: a comes before b, and b takes from the noise of a
                own[a] += weights[b] * found[next(pairs)]
        found[block.ties] = own.reshape(-1)
    return found
