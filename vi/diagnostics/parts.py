"""The components of a mixture that is judged: what is far or wide is so in units of one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vi.diagnostics.bridge import log_evidence
from vi.diagnostics.diagnosis import shifts
from vi.diagnostics.importance import effective_size

__all__ = ["PartRoots", "Parts", "root_of"]

FEWEST = 4.0
"""Effective draws of a component below which they say nothing of it: of 256, those of one that has
less than two hundredths of the mass."""


@dataclass(frozen=True)
class PartRoots:
    """The unit of each chain: a root of the covariance of the component that it starts in.

    Parameters
    ----------
    roots : tuple of numpy.ndarray
        For each component R ``(D, D)`` of R R', or standard deviations ``(D,)``.
    which : numpy.ndarray
        The component of each chain, ``(chains,)``.
    """

    roots: tuple[np.ndarray, ...]
    which: np.ndarray

    def forward(self, units: np.ndarray) -> np.ndarray:
        """Lengths in the space, of lengths in units, both ``(chains, D)``."""
        return self._each(units, lambda u, root: u * root if root.ndim == 1 else u @ root.T)

    def back(self, scores: np.ndarray) -> np.ndarray:
        """Scores in units, of scores in the space, both ``(chains, D)``."""
        return self._each(scores, lambda s, root: s * root if root.ndim == 1 else s @ root)

    def _each(
        self, values: np.ndarray, apply: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        out = np.empty_like(values)
        for part, root in enumerate(self.roots):
            own = self.which == part
            out[own] = apply(values[own], root)
        return out


@dataclass(frozen=True)
class Parts:
    """The components of a q.

    A mixture's own standard deviations are mostly the distance of its components: measured in them
    nothing within a component is ever wrong, and no place between or beside them is far.

    Parameters
    ----------
    mean, std : numpy.ndarray
        Of all of q, ``(D,)``.
    weights : numpy.ndarray
        ``(K,)``.
    means, stds : numpy.ndarray
        Of each component, ``(K, D)``.
    roots : tuple of numpy.ndarray
        A root of each one's covariance, ``(D, D)`` or ``(D,)``.
    log_parts : callable
        At points ``(S, D)``, log of each component's density times its weight, ``(S, K)``.
    """

    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    roots: tuple[np.ndarray, ...]
    log_parts: Callable[[np.ndarray], np.ndarray]

    @property
    def places(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Mean and standard deviations of each component."""
        return tuple(zip(self.means, self.stds, strict=True))

    def root_at(self, points: np.ndarray) -> PartRoots:
        """The units of chains that start at points ``(chains, D)``."""
        return PartRoots(self.roots, np.argmax(self.log_parts(points), axis=1))

    def moved_by_weights(
        self, points: np.ndarray, log_weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """How far weighted draws of q move means and log sds, ``(D,)`` each.

        Those of all of q, or those within components where they are larger.
        """
        shares = _shares(self.log_parts(points))
        return self._larger(points, shares, np.exp(log_weights), 1)

    def moved_by_chains(
        self,
        chains: np.ndarray,
        which: np.ndarray,
        log_p: np.ndarray,
        draws: np.ndarray,
        log_p_of_draws: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """How far chains move means and log sds, ``(D,)`` each.

        Chains stay within modes. So each component counts as much as its evidence says, by a bridge
        between draws of q and the chains' points there.

        Parameters
        ----------
        chains : numpy.ndarray
            Their last points, ``(steps, chains, D)``.
        which : numpy.ndarray
            The component in which each one started, ``(chains,)``.
        log_p : numpy.ndarray
            At these points, ``(steps * chains,)``.
        draws, log_p_of_draws : numpy.ndarray
            Draws of q ``(S, D)`` and log p there ``(S,)``.
        """
        points = chains.reshape(-1, chains.shape[-1])
        logs, logs_of_draws = self.log_parts(points), self.log_parts(draws)
        shares = _shares(np.where(self._within(logs, np.tile(which, len(chains))), logs, -np.inf))
        region, region_of_draws = shares.argmax(axis=1), logs_of_draws.argmax(axis=1)
        ratios, ratios_of_draws = (
            value - np.logaddexp.reduce(parts, axis=1)
            for value, parts in ((log_p, logs), (log_p_of_draws, logs_of_draws))
        )
        log_mass = np.full(len(points), -np.inf)
        for part in range(len(self.weights)):
            here, drawn = region == part, region_of_draws == part
            if here.any() and drawn.any():
                evidence = log_evidence(ratios_of_draws[drawn], ratios[here], len(chains))
                log_mass[here] = evidence + np.log(drawn.mean() / here.sum())
        weights = np.exp(log_mass - log_mass.max())
        return self._larger(points, shares, weights / weights.sum(), len(chains))

    def _within(self, logs: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Of which component a point of a chain can be ``(S, K)``: where it started, or came to.

        In the tails of one component the density of another can be larger, far from its mass.
        """
        dim = self.means.shape[1]
        tops = np.diag(self.log_parts(self.means))
        near: np.ndarray = 2 * (tops - logs) < dim + 3 * np.sqrt(2 * dim) + 6  # 0.999 of a normal
        near[np.arange(len(start)), start] = True
        return near

    def _larger(
        self, points: np.ndarray, shares: np.ndarray, weights: np.ndarray, per_draw: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The shifts of all of q, or those within its components where these are larger."""
        mean = weights @ points
        std = np.sqrt(weights @ (points - mean) ** 2)
        pairs = zip(
            shifts(self.mean, self.std, mean, std),
            self._inside(points, shares * weights[:, None], per_draw),
            strict=True,
        )
        first, second = (np.where(np.abs(i) > np.abs(o), i, o) for o, i in pairs)
        return first, second

    def _inside(
        self, points: np.ndarray, shares: np.ndarray, per_draw: int
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""How far means and log sds move within the components, ``(D,)`` each.

        With shifts :math:`m_k` of each component in its own sds, from :math:`n_k` effective draws,
        :math:`(\sum_k w_k (m_k^2 - s_k^2 / n_k))_+^{1/2}`: their root mean square without its
        noise, so that it is no larger by chance where components are many. It has the sign of the
        mean shift.
        """
        squares = np.zeros((2, points.shape[1]))
        signs = np.zeros_like(squares)
        parts = zip(shares.T, self.weights, self.means, self.stds, strict=True)
        for own, weight, mean, std in parts:
            mass, effective = own.sum(), effective_size(own) / per_draw
            if effective < FEWEST:
                continue
            with np.errstate(all="ignore"):
                standard = (points - mean) / std
                moved = own @ standard / mass
                wide = np.sqrt(own @ (standard - moved) ** 2 / mass)
                wider = np.log(wide)
            noise = np.array([wide**2, np.full_like(wide, 0.5)]) / effective
            squares += weight * (np.array([moved**2, wider**2]) - noise)
            signs += weight * np.array([moved, wider])
        first, second = np.sign(signs) * np.sqrt(np.maximum(squares, 0.0))
        return first, second


def _shares(logs: np.ndarray) -> np.ndarray:
    """The share of each component in the density, ``(S, K)``."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)))


def root_of(cov: np.ndarray | None, std: np.ndarray) -> np.ndarray:
    """A root of a covariance ``(D, D)``: R of R R', or the standard deviations ``(D,)``.

    These also where a variance overflows: of such a q no correlation is known.
    """
    if cov is None or not np.all(np.isfinite(cov)) or not np.any(cov - np.diag(np.diag(cov))):
        return std
    with np.errstate(all="ignore"):
        values, vectors = np.linalg.eigh(cov / np.outer(std, std))
    root: np.ndarray = std[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    return root
