"""The others given globals: their Laplace normal, and how far it is from their density."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vi.search.inner_summit import Inner
from vi.search.inner_summits import Summits, summits
from vi.search.marginal_laplace import MarginalLaplace
from vi.targets.backends.evaluation import log_prob_in_chunks

__all__ = ["NORMAL", "TOO_FAR", "Given", "GivenGlobals"]

CANDIDATES = 16
"""Draws of the others, of which one is chosen by its weight: pairs of a noise and its negative."""

NORMAL = 1e-6
"""Spread of the candidates' log weights below which the others are normal given the globals."""

TOO_FAR = 1.5
"""Spread of the candidates' log weights above which sixteen of them are too few to weigh."""

TOGETHER = 10**6
"""Numbers of the others' factors that are held at once: those of so many globals."""

FEWEST = 8
"""Globals at which it has to be too far before it is taken for so at all others."""

FAR = 3.0
"""Sds of the globals up to which the summit of the others is begun where linear terms have it."""


class Given(NamedTuple):
    """What is known at some globals; all ``(K,)``.

    Parameters
    ----------
    value : numpy.ndarray
        The logarithms of the marginal density, by Laplace; minus infinity without a summit.
    correction : numpy.ndarray
        What the candidates add to them: the logarithm of the mean of their weights.
    spread : numpy.ndarray
        The spread of the logarithms of their weights above their median, a normal's standard
        deviation; 0 where the others are normal.
    """

    value: np.ndarray
    correction: np.ndarray
    spread: np.ndarray


@dataclass(eq=False)
class GivenGlobals:
    """The others given globals.

    Parameters
    ----------
    inner : Inner
        Where the others are most likely.
    laplace : MarginalLaplace
        Laplace's approximation, for where to begin.
    seed : tuple of int
        Words of a seed: the candidates at the globals of a number are the same at every call.
    """

    inner: Inner
    laplace: MarginalLaplace
    seed: tuple[int, ...]
    normal: bool = field(default=False, init=False)
    """Whether the others were normal given the first globals: no candidates are looked at then."""
    hopeless: float = field(default=0.0, init=False)
    """Spread given the first globals, if too far at all of them: nor are any looked at then."""

    def look(self, at: np.ndarray, numbers: np.ndarray) -> Given:
        """What is known at globals ``(K, g)``, the draws of these numbers."""
        values, corrections, spreads = [], [], []
        for part, found in self._summits(at):
            values.append(found.values)
            if self.normal or self.hopeless:
                corrections.append(np.zeros(len(found.values)))
                spreads.append(np.full(len(found.values), self.hopeless))
                continue
            _, log_weights = self._candidates(at[part], found, numbers[part])
            corrections.append(np.logaddexp.reduce(log_weights, axis=1) - np.log(CANDIDATES))
            finite = np.isfinite(log_weights).all(axis=1)
            with np.errstate(invalid="ignore"):
                spreads.append(np.where(finite, _spread(log_weights), np.inf))
            there = spreads[-1][np.isfinite(found.values)]
            self.normal = bool(there.size) and bool(there.max() < NORMAL)
            if len(spreads) == 1 and len(there) >= FEWEST and there.min() > TOO_FAR:
                self.hopeless = float(np.median(there))
        return Given(*(np.concatenate(each) for each in (values, corrections, spreads)))

    def draw(
        self, at: np.ndarray, numbers: np.ndarray, copies: np.ndarray, *, weigh: bool
    ) -> np.ndarray:
        """Points with these globals ``(K, g)``, so many copies of each, ``(sum of copies, D)``.

        They are the candidates that :meth:`look` has weighed for these numbers, by their weights;
        one may come more than once. Where they are not weighed, they are fresh ones.
        """
        found = []
        for part, own in self._summits(at):
            if self.normal or not weigh:
                found.append(self._drawn(at[part], own, numbers[part], copies[part]))
                continue
            points, log_weights = self._candidates(at[part], own, numbers[part])
            weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
            weights /= weights.sum(axis=1, keepdims=True)
            for i, (number, count) in enumerate(zip(numbers[part], copies[part], strict=True)):
                chosen = self._generator(number, 1).choice(CANDIDATES, count, p=weights[i])
                found.append(points[i, chosen])
        return np.concatenate(found)

    def _drawn(
        self, at: np.ndarray, found: Summits, numbers: np.ndarray, copies: np.ndarray
    ) -> np.ndarray:
        """Fresh draws of others that are taken as normal, so many of each."""
        parts = []
        for copy in range(int(copies.max())):
            which = np.flatnonzero(copies > copy)
            n = len(self.inner.ties.order)
            noise = [self._generator(numbers[k], 2 + copy).standard_normal(n) for k in which]
            others = found.others[:, which] + found.factor.some(which).draw(np.stack(noise, 1))
            parts.append(self.inner.points(at[which], others))
        return np.concatenate(parts)

    def _summits(self, at: np.ndarray) -> Iterator[tuple[slice, Summits]]:
        """The summits of some globals at a time: all factors may be too large to be held."""
        params, order = self.laplace.params, self.inner.ties.order
        each = max(1, TOGETHER // (len(order) + self.inner.ties.count + 1))
        for first in range(0, len(at), each):
            part = slice(first, first + each)
            begun = np.repeat(params["mu"][order][:, None], len(at[part]), axis=1)
            if "cross" in params:
                off = (at[part] - params["mu"][self.inner.globals]).T
                noise = np.linalg.solve(params["lower"], off)
                begun += params["cross"].T @ np.clip(noise, -FAR, FAR)
            yield part, summits(self.inner, at[part], begun, quadratic=self.normal)

    def _candidates(
        self, at: np.ndarray, found: Summits, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(K, CANDIDATES, D)``, and the logarithms of their weights ``(K, CANDIDATES)``.

        These are p over the normal's density, relative to Laplace's marginal density.
        """
        n, count = len(self.inner.ties.order), len(at)
        log_q_at_0 = 0.5 * (found.factor.log_det - n * np.log(2 * np.pi))
        points = np.empty((count, CANDIDATES, self.inner.target.dim))
        points[:, :, self.inner.globals] = at[:, None]
        log_q = np.empty((count, CANDIDATES))
        noise = np.stack(
            [self._generator(k, 0).standard_normal((n, CANDIDATES // 2)) for k in numbers], axis=2
        )
        for c in range(CANDIDATES):
            own = noise[:, c // 2] * (-1) ** c
            points[:, c, self.inner.ties.order] = (found.others + found.factor.draw(own)).T
            log_q[:, c] = log_q_at_0 - 0.5 * np.square(own).sum(axis=0)
        log_p = log_prob_in_chunks(self.inner.target, points.reshape(-1, points.shape[-1]))
        self.inner.products += count * CANDIDATES
        there = np.isfinite(found.values)[:, None]
        log_p = log_p.reshape(count, CANDIDATES)
        with np.errstate(invalid="ignore"):
            ratios = log_p - log_q - found.values[:, None]
        return points, np.where(there & np.isfinite(log_p), ratios, -np.inf if n else 0.0)

    def _generator(self, number: int, use: int) -> np.random.Generator:
        return np.random.default_rng((*self.seed, int(number), use))


def _spread(log_weights: np.ndarray) -> np.ndarray:
    """Of log weights ``(K, S)`` the spread upwards, ``(K,)``.

    What is below the median takes nothing from a mean of weights: candidates that go beyond a tail
    that is thinner than theirs have small weights, and those are right.
    """
    above = np.maximum(log_weights - np.median(log_weights, axis=1, keepdims=True), 0.0)
    found: np.ndarray = np.sqrt(2 * np.mean(np.square(above), axis=1))
    return found
