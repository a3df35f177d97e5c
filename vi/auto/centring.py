"""How far chains run in non-centred coordinates: chosen by what draws and scores say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.partly_centred import PartlyCentred
from vi.families.conditionals import Conditionals
from vi.targets.backends.evaluation import evaluation
from vi.targets.model.conditionals import scaled_by_others

__all__ = ["model_coordinates", "nearer_to_normal"]

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of centring that are compared."""

POINTS = 200
"""Draws at which they are."""

GAIN = 1.0
"""By how many nats half that sum has to fall for other coordinates to be taken."""


def model_coordinates(fit: FitState) -> PartlyCentred | None:
    """The model's own coordinates, as those of which others may be chosen; None if there are none.

    Parameters
    ----------
    fit : FitState
        The record.
    """
    conditionals = _conditionals(fit)
    if conditionals is None:
        return None
    target = target_of_all_rows(fit)
    shares = np.ones(conditionals.size, target.dtype)
    return PartlyCentred(target, conditionals, shares, np.zeros(target.dim, target.dtype))


def nearer_to_normal(
    own: PartlyCentred, points: np.ndarray
) -> tuple[PartlyCentred | None, np.ndarray, int]:
    r"""Coordinates in which the draws of chains are nearest to independent normals.

    With draws :math:`u` of a density and its scores :math:`g`, :math:`\mathrm{Var}(u_i)
    \mathrm{Var}(g_i)` is 1 at the least, and 1 for independent normals of any width alone. The
    sum of its logarithms is made small over the shares of centring, of one variable after the
    other, children first. Scores are taken in the model's coordinates, once for all shares.

    Parameters
    ----------
    own : PartlyCentred
        The model's own.
    points : numpy.ndarray
        Draws of chains ``(C, S, D)``, in the model's coordinates.

    Returns
    -------
    coordinates : PartlyCentred or None
        None where the model's own are as good.
    spread : numpy.ndarray
        Variances by which steps in them are measured, ``(D,)``: the ratio of the standard
        deviations of u and g, which is the variance where that product is 1.
    gradients : int
        What it took.
    """
    flat = points.reshape(-1, points.shape[-1])
    flat = flat[:: max(1, len(flat) // POINTS)][:POINTS]
    own = replace(own, shares=np.ones_like(own.shares), centre=flat.mean(axis=0))
    _, scores = evaluation(own.target)(flat)

    def seen(shares: np.ndarray) -> _Compared:
        return _Compared.at(replace(own, shares=shares), flat, scores)

    first = best = seen(own.shares)
    for entries, of in reversed(_entries(own.conditionals)):
        tried = [seen(_with(best.shares, of, level)) for level in LEVELS]
        of_each = np.argmin([one.excess[entries] for one in tried], axis=0)
        tried.append(seen(_with(best.shares, of, np.array(LEVELS)[of_each])))
        best = min([best, *tried], key=lambda one: one.total)
    if not first.total - best.total > GAIN:
        return None, first.spread, len(flat)
    return best.coordinates, best.spread, len(flat)


@dataclass(frozen=True)
class _Compared:
    """Coordinates, and what draws and scores in them say of each, ``(D,)``."""

    coordinates: PartlyCentred
    excess: np.ndarray  # half the logarithm of Var(u) Var(g): at least about 0
    spread: np.ndarray  # the variance of a normal with that ratio of draws and scores

    @classmethod
    def at(cls, coordinates: PartlyCentred, z: np.ndarray, scores: np.ndarray) -> Self:
        """From draws and scores ``(n, D)`` in the model's coordinates."""
        u, g = coordinates.moved_scores(z, scores)
        with np.errstate(all="ignore"):
            of_u, of_g = (np.log(each.var(axis=0, dtype=np.float64)) for each in (u, g))
            excess = np.nan_to_num(0.5 * (of_u + of_g), nan=np.inf, posinf=np.inf, neginf=0.0)
            spread = np.exp(0.5 * (of_u - of_g))
        return cls(coordinates, excess, np.where(np.isfinite(spread) & (spread > 0), spread, 1.0))

    @property
    def shares(self) -> np.ndarray:
        """The shares of centring."""
        return self.coordinates.shares

    @property
    def total(self) -> float:
        """Of all coordinates."""
        return float(self.excess.sum())


def _conditionals(fit: FitState) -> Conditionals | None:
    """What follows others in the model, where there is anything that is known."""
    found = None if fit.model is None else scaled_by_others(fit.model)
    return found if found is not None and found.dim == fit.layout.dim else None


def _entries(conditionals: Conditionals) -> list[tuple[slice, slice]]:
    """Where the entries of each variable are, in the flat vector and among all shares."""
    found, begin = [], 0
    for one in conditionals.variables:
        of = slice(begin, begin + one.size)
        found.append((slice(one.start, one.start + one.size), of))
        begin = of.stop
    return found


def _with(shares: np.ndarray, of: slice, level: float | np.ndarray) -> np.ndarray:
    changed = shares.copy()
    changed[of] = level
    return changed
