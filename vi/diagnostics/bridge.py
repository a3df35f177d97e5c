"""The evidence by a bridge between draws of q and draws of p."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["log_evidence"]

SWEEPS, SETTLED = 100, 1e-6
"""The most repetitions, and a change that is none."""


def log_evidence(of_q: np.ndarray, of_p: np.ndarray, per_draw: float = 1.0) -> float:
    r"""Log of the integral of p, which need not be normalised, by q, which is.

    With :math:`l = p / q`, :math:`n` draws of q and :math:`m` draws of p it is the fixed point

    .. math:: Z = \frac{\mathrm{mean}_q\; l / (n l + m Z)}{\mathrm{mean}_p\; 1 / (n l + m Z)}

    Neither where p has the heavier tails nor where q has does a draw count for much: the mean of l
    over draws of q alone hangs on few of them where its tail is heavy.

    Parameters
    ----------
    of_q, of_p : numpy.ndarray
        Log p - log q at draws of q and of p, one of each at least; minus infinity for some.
    per_draw : float
        Of `of_p`, values that come of one independent draw, as those of a chain do.

    References
    ----------
    Meng and Wong (1996). Simulating ratios of normalizing constants via a simple identity: a
    theoretical exploration. Statistica Sinica 6.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> q, p = rng.normal(0, 1, 4000), rng.normal(0, 2, 4000)  # p is 10 N(0, 4)
    >>> log_ratio = lambda z: np.log(10 / 2) - z**2 / 8 + z**2 / 2
    >>> round(float(np.exp(log_evidence(log_ratio(q), log_ratio(p)))), 0)
    10.0
    """
    n, m = len(of_q), len(of_p) / per_draw
    log_n, log_m = math.log(n / (n + m)), math.log(m / (n + m))
    found = float(np.median(of_p))
    for _ in range(SWEEPS):
        before = found
        above = of_q - np.logaddexp(log_n + of_q, log_m + found)
        below = -np.logaddexp(log_n + of_p, log_m + found)
        found = _log_mean(above) - _log_mean(below)
        if not abs(found - before) > SETTLED:
            break
    return found


def _log_mean(logs: np.ndarray) -> float:
    return float(np.logaddexp.reduce(logs) - math.log(len(logs)))
