"""What other fits found, and whether they leave anything to the one that is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

__all__ = ["APART", "Found", "Rival", "has_valley", "is_apart", "rival", "table_of_modes"]

APART = 3.0
"""Standard deviations, of the wider of two fits, from which on they are two places."""

AHEAD = 1.0
"""Nats, beyond noise, by which another fit shows that q is not where the posterior is: the ELBO of
any fit is a lower bound of the evidence, so the gap is one of KL(q | p)."""

NOISE = 3.0
"""Standard errors that count as noise."""


VALLEY = 0.1
"""Nats by which log p has to fall between two places for them to be two. Along a line a log-concave
density falls by none; between equal normals three sds apart it falls by 0.44."""


@dataclass(frozen=True)
class Found:
    """A fit: its ELBO with standard error, and moments ``(D,)``; of a mixture, of each part too."""

    name: str
    elbo: float
    error: float
    mean: np.ndarray
    std: np.ndarray
    parts: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    @property
    def unit(self) -> np.ndarray:
        """Its standard deviations; of a mixture, the mean of those of its parts."""
        if not self.parts:
            return self.std
        unit: np.ndarray = np.mean([std for _, std in self.parts], axis=0)
        return unit

    def beside(self, other: Found) -> Found:
        """Itself; of a mixture, the part that is nearest to another fit, with the whole's ELBO."""
        if not self.parts:
            return self
        with np.errstate(all="ignore"):
            apart = [np.abs(other.mean - m) / np.maximum(s, other.std) for m, s in self.parts]
        mean, std = self.parts[int(np.argmin([np.nan_to_num(a).max() for a in apart]))]
        return replace(self, mean=mean, std=std, parts=())


@dataclass(frozen=True)
class Rival:
    """Another place that has some of the mass, or all of it.

    Parameters
    ----------
    name : str
        Which fit.
    where : str
        The coordinate in which it is farthest.
    distance : float
        How far, in standard deviations of q.
    gap : float
        Its ELBO less that of q.
    ahead : bool
        Whether that is more than noise, so that q is at the wrong place.
    mean, sd : float
        How far the mean and the logarithm of the sd would move if both had the mass that their
        ELBOs say.
    narrower : float
        By how much q's smallest sd there is smaller.
    """

    name: str
    where: str
    distance: float
    gap: float
    ahead: bool
    mean: float
    sd: float
    narrower: float


def is_apart(q: Found, other: Found) -> bool:
    """Whether two fits are at two places."""
    return bool(_apart(q, other).max() >= APART)


def has_valley(along: np.ndarray) -> bool:
    """Whether log p falls between two places and rises again, ``(S,)`` from one to the other.

    If it does not, both lie on one ridge: a set on which log p is as high as at the lower of them
    connects them, and they are one mode.
    """
    lowest = np.min(np.nan_to_num(along[1:-1], nan=-np.inf))
    return not lowest >= min(along[0], along[-1]) - VALLEY  # one that is no number counts


def _apart(q: Found, other: Found) -> np.ndarray:
    """How far their means are from each other, in sds of the wider one, ``(D,)``."""
    q = q.beside(other)
    with np.errstate(all="ignore"):
        far = np.abs(other.mean - q.mean) / np.maximum(q.std, other.std)
    known: np.ndarray = np.nan_to_num(far, nan=0.0)
    return known


def table_of_modes(fits: Sequence[Found], labels: Sequence[str]) -> xr.Dataset:
    """The fits as a table, the first is q: see :class:`vi.diagnostics.Diagnosis`."""
    near = [fits[0], *(fits[0].beside(fit) for fit in fits[1:])]
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = zip(fits, near, strict=True)
        distance = [float(np.max(np.abs(fit.mean - q.mean) / q.std)) for fit, q in pairs]
    return xr.Dataset(
        {
            "mode_elbo": ("mode", np.array([fit.elbo for fit in fits])),
            "mode_elbo_error": ("mode", np.array([fit.error for fit in fits])),
            "mode_distance": ("mode", np.array(distance)),
            "mode_mean": (("mode", "unconstrained"), np.array([fit.mean for fit in fits])),
            "mode_sd": (("mode", "unconstrained"), np.array([fit.std for fit in fits])),
        },
        coords={"mode": [fit.name for fit in fits], "unconstrained": list(labels)},
    )


def rival(fits: Sequence[Found], labels: Sequence[str], small: float) -> Rival | None:
    """The other fit that says most against q, if one does.

    Parameters
    ----------
    fits : sequence of Found
        The first is q.
    labels : sequence of str
        Names of the coordinates.
    small : float
        Shifts of means and log sds that pass.
    """
    rivals = [_compared(fits[0], other, labels) for other in fits[1:]]
    serious = [r for r in rivals if r is not None and (r.ahead or max(r.mean, r.sd) >= small)]
    return max(serious, key=lambda r: r.gap, default=None)


def _compared(q: Found, other: Found, labels: Sequence[str]) -> Rival | None:
    """How another fit stands to q; none where it is at the same place."""
    q = q.beside(other)
    apart = _apart(q, other)
    with np.errstate(all="ignore"):
        far = np.nan_to_num(np.abs(other.mean - q.mean) / q.std, nan=0.0)
    if not np.isfinite(other.elbo) or not np.isfinite(q.elbo) or apart.max() < APART:
        return None
    gap = other.elbo - q.elbo
    ahead = gap > AHEAD + NOISE * np.nan_to_num(np.hypot(other.error, q.error))
    share = 1.0 / (1.0 + np.exp(-np.clip(gap, -700.0, 700.0)))
    distance = float(far.max())
    worst = int(np.argmax(apart))
    return Rival(
        other.name,
        labels[worst],
        float(far[worst]),
        float(gap),
        bool(ahead),
        float(share * distance),
        float(0.5 * np.log1p(share * (1 - share) * distance**2)),
        float(np.max(other.std / q.std)),
    )
