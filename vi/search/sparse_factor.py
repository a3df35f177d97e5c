"""A sparse precision as conditionals: what a coordinate takes from its parents, and its scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vi.families.ties import Ties

__all__ = ["NotPositiveError", "SparseFactor", "conditionals", "covariance_weights"]


class NotPositiveError(ValueError):
    """The precision is not positive definite."""


class SparseFactor(NamedTuple):
    r"""``Q = (I - W)' S^-2 (I - W)`` with scales ``S`` and weights ``W`` along ties.

    Parameters
    ----------
    ties : Ties
        Those of an inverse factor.
    scale : numpy.ndarray
        ``(n,)``.
    weight : numpy.ndarray
        ``(k,)``, in the order of the ties.
    """

    ties: Ties
    scale: np.ndarray
    weight: np.ndarray

    @property
    def log_det(self) -> float:
        """Of the precision."""
        return float(-2.0 * np.sum(np.log(self.scale)))

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution ``x`` of ``Q x = right``, ``(n,)``."""
        x = right.copy()
        for block in reversed(self.ties.blocks):
            weights = self.weight[block.ties].reshape(block.parents.T.shape)
            for column, w in zip(block.parents.T, weights, strict=True):
                np.add.at(x, column, w * x[block.place])
        x *= self.scale**2
        for block in self.ties.blocks:
            weights = self.weight[block.ties].reshape(block.parents.T.shape)
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
    diagonal, along = diagonal.copy(), along.copy()
    scale, weight = np.empty_like(diagonal), np.empty_like(along)
    for block in reversed(ties.blocks):
        own = diagonal[block.place]
        if not np.all(own > 0):
            raise NotPositiveError("a conditional precision is not positive")
        scale[block.place] = 1.0 / np.sqrt(own)
        columns = block.parents.T
        entries = along[block.ties].reshape(columns.shape)
        weight[block.ties] = (-entries / own).ravel()
        pairs = iter(block.pairs)
        for a, column in enumerate(columns):
            np.subtract.at(diagonal, column, entries[a] ** 2 / own)
            for b in range(a + 1, len(columns)):
                np.subtract.at(along, next(pairs), entries[a] * entries[b] / own)
    return SparseFactor(ties, scale, weight)


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
