"""Whether a path of iterates has settled, and how well it knows what it goes round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from vi.diagnostics.array_stats import array_stats

__all__ = ["Settling", "settling"]

MOST = 0.9
"""Part of the coordinates whose R-hat counts: of a hundred settled ones some have a large one."""

STILL = 0.1
"""Of the tolerance: a coordinate that moves by less, and ever less, needs no R-hat."""

TINY = 1e-12
"""What is divided by where nothing varies."""

CHANCE = 0.05
"""How many coordinates may be expected to be further off than the tolerance."""


@dataclass(frozen=True)
class Settling:
    """What a path of iterates says of the point that is reported.

    Parameters
    ----------
    rhat : float
        Split R-hat that nine tenths of the coordinates do not exceed.
    expected : float
        Coordinates that are expected to be further off than the tolerance.
    error : float
        The largest standard error of a coordinate, in the units of the path.
    """

    rhat: float
    expected: float
    error: float

    def within(self, rhat: float) -> bool:
        """Whether R-hat is at most that, and hardly a coordinate off by the tolerance."""
        return self.rhat <= rhat and self.expected <= CHANCE


def settling(
    path: np.ndarray, reported: np.ndarray, tolerance: float, *, dim: int | None = None
) -> Settling:
    r"""Judge the later part of a path of iterates, and the point that is reported of it.

    Where the iterates go round a point, their mean :math:`\bar x` has a Monte-Carlo standard error
    :math:`s` that follows from their autocorrelation. The point is then within Student's t of
    :math:`\bar x`, with as many degrees of freedom as the path has effective draws, less one; what
    is reported, :math:`r`, is off by more than the tolerance with the probability

    .. math:: P(|r - \bar x - s T| > \epsilon),

    however it was made of the iterates. These are added over the coordinates. A path that still
    travels is seen by split R-hat, and by few effective draws.

    Parameters
    ----------
    path : numpy.ndarray
        Iterates, ``(N, P)`` with N at least 8, in units in which a tolerance makes sense.
    reported : numpy.ndarray
        What is reported, ``(P,)``, in the same units.
    tolerance : float
        The error that is allowed.
    dim : int, optional
        How many coordinates there are, if those of the path are some of them.

    Returns
    -------
    Settling

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(1).normal(0.0, 0.1, (400, 3))
    >>> settling(noise, noise.mean(axis=0), 0.1).within(rhat=1.1)
    True
    >>> travels = noise + np.linspace(0.0, 0.5, 400)[:, None]
    >>> settling(travels, travels.mean(axis=0), 0.1).within(rhat=1.1)
    False

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021). Rank-normalization, folding, and
    localization: an improved R-hat. Bayesian Analysis 16. On iterates: Dhaka, Catalina, Andersen,
    Magnusson, Huggins and Vehtari (2020). Robust, accurate stochastic optimization for variational
    inference. NeurIPS; Welandawe, Andersen, Vehtari and Huggins (2022). Robust, automated, and
    accurate black-box variational inference.
    """
    moving = np.flatnonzero(~_still(path, tolerance))
    draws = np.ascontiguousarray(path[:, moving].T)[:, None, :]
    rhat, error = np.ones(path.shape[1]), np.zeros(path.shape[1])
    freedom = np.full(path.shape[1], np.inf)
    if len(moving):
        rhat[moving] = _split_rhat(draws)
        error[moving] = array_stats().mcse(draws)
        effective = (draws.std(axis=(1, 2)) / np.maximum(error[moving], TINY)) ** 2
        freedom[moving] = np.maximum(effective - 1.0, 1.0)
    off = reported - path.mean(axis=0)
    scale = np.maximum(error, TINY)
    # Student's t: its distribution function, and the upper tail as that of minus the argument
    beyond = stdtr(freedom, (-tolerance - off) / scale) + stdtr(freedom, (off - tolerance) / scale)
    share = 1.0 if dim is None else dim / path.shape[1]
    return Settling(
        float(np.quantile(rhat, MOST)),
        float(share * beyond.sum()),
        float(np.hypot(off, error).max()),
    )


def _split_rhat(draws: np.ndarray) -> np.ndarray:
    """R-hat of the two halves of each path, ``(P, 1, N)``."""
    length = draws.shape[2] // 2
    rhat: np.ndarray = array_stats().rhat(
        draws[..., -2 * length :].reshape(len(draws), 2, length), method="split"
    )
    return rhat


def _still(path: np.ndarray, tolerance: float) -> np.ndarray:
    """Which coordinates have come to rest: hardly a move, and of the second half less than half.

    A step that is too short moves hardly too, but as fast as before.
    """
    first, second, third, fourth = (part.mean(axis=0) for part in np.array_split(path, 4))
    resting = np.abs(fourth - third) <= 0.5 * np.abs(second - first)
    still: np.ndarray = (np.ptp(path, axis=0) < STILL * tolerance) & resting
    return still
