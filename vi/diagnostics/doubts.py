"""What a trace of losses and the parameters at its end say against a run that ended by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vi.diagnostics.losses import finite

__all__ = ["about_losses", "about_movement", "about_normal", "about_widths", "spread"]

FEWEST = 100
"""Losses below which nothing is said."""

DOMINATED = 10.0
"""Quartile ranges by which a mean may lie above the median, and nats: of 1,000 losses one has to be
10,000 quartile ranges above the others for that.
"""

ROSE = 100.0
"""Quartile ranges, and nats, by which the loss may end above its lowest thousand."""

LOST_NATS = 1e3
"""Nats that are lost to rounding in a loss that says nothing: its size times the precision."""


WIDE, WILD = 5.0, 100.0
"""Times that the losses of single draws may vary more than those of a q with the right widths,
before it is said, and before the fit is unreliable."""

MOVES, RUNS = 0.5, 3.0
"""Standard deviations of q by which its draws may move from one iterate to a later one, before it
is said, and before the fit is unreliable. Two iterates about an optimum are the square root of two
as far apart as each is from it."""

OF_NORMALS = 1.349
"""Distance of the quartiles of a normal, in standard deviations."""


def spread(losses: np.ndarray) -> float:
    """Distance of the quartiles of losses."""
    low, high = np.quantile(losses, [0.25, 0.75])
    return float(high - low)


def about_losses(losses: np.ndarray, eps: float, lowest: tuple[float, float] | None = None) -> str:
    """What is wrong with the last losses, or nothing.

    Parameters
    ----------
    losses : numpy.ndarray
        The last ones.
    eps : float
        Relative rounding of the fit's precision.
    lowest : tuple of float, optional
        Mean and distance of the quartiles of the lowest losses before, if they are known.
    """
    last = finite(losses)
    if len(last) < FEWEST:
        return ""
    mean, middle, width = float(np.mean(last)), float(np.median(last)), spread(last)
    if abs(middle) * eps > LOST_NATS:
        return f"the loss is {middle:.3g}, of which rounding loses {abs(middle) * eps:.2g} nats"
    if mean - middle > DOMINATED * (1 + width):
        return f"a few draws dominate the loss: its mean is {mean:,.5g}, its median {middle:,.5g}"
    if lowest is not None and middle - lowest[0] > ROSE * (1 + lowest[1]):
        return f"the loss rose from {lowest[0]:,.5g} to {middle:,.5g}: the parameters ran away"
    return ""


def about_normal(
    mean: np.ndarray, std: np.ndarray, correlation: np.ndarray | None, eps: float
) -> tuple[str, np.ndarray]:
    """What is wrong with the moments of q, and at which entries; or nothing.

    Parameters
    ----------
    mean, std : numpy.ndarray
        Of q, ``(D,)``.
    correlation : numpy.ndarray, optional
        ``(D, D)``, where it was computed.
    eps : float
        Relative rounding of the fit's precision.
    """
    narrow = std < eps * np.abs(mean)
    if np.any(narrow):
        return "q is narrower than its mean is rounded", np.flatnonzero(narrow)
    if correlation is not None:
        values, vectors = np.linalg.eigh(correlation)
        if values[0] < eps * values[-1]:
            along = np.argsort(-np.abs(vectors[:, 0]))[:3]
            return "q's covariance is singular to rounding", np.sort(along)
    return "", np.empty(0, int)


def about_widths(
    losses: np.ndarray, dim: int, draws: int, any_covariance: bool
) -> tuple[str, bool]:
    r"""What the spread of the last losses says of q's widths, or nothing; and whether it is wild.

    With :math:`a_i` the eigenvalues of q's covariance in units of the posterior's, losses of K
    draws vary by

    .. math:: \Bigl(\frac{1}{2K} \sum_i a_i^2\Bigr)^{1/2}

    nats, of a posterior that is normal (with sticking-the-landing :math:`a_i - 1` takes the place
    of :math:`a_i`). All :math:`a_i` are 1 where q is right, and their mean is 1 at the optimum of
    every family, so that independent normals come to :math:`D / \sqrt{2 K}` at the most. Steps that
    are too long keep q's directions wide beyond that, by factors: where a q is five times too wide
    in all directions the losses vary 25 times as much.

    Parameters
    ----------
    losses : numpy.ndarray
        The last ones, minus the ELBO of all rows at K draws each.
    dim : int
        Coordinates that have a width, ``D``.
    draws : int
        ``K``.
    any_covariance : bool
        Whether the family has every covariance; else as few are allowed for as it may have.

    Examples
    --------
    >>> losses = np.random.default_rng(1).normal(size=1000)
    >>> about_widths(losses, 2, 1, any_covariance=True)
    ('', False)
    >>> what, wild = about_widths(600 * losses, 2, 1, any_covariance=True)
    >>> what[:18], what[-58:], wild
    ('the loss varies by', 'draw to draw, that of a q with the right widths by about 1', True)
    """
    last = finite(losses)
    if len(last) < FEWEST or not dim:
        return "", False
    right = np.sqrt(dim / (2 * draws)) * (1.0 if any_covariance else np.sqrt(dim))
    # neighbours, so that a trend has no part in it
    found = spread(np.diff(last)) / (OF_NORMALS * np.sqrt(2))
    if found <= WIDE * right:
        return "", False
    what = (
        f"the loss varies by {found:,.3g} nats from draw to draw, that of a q with the right "
        f"widths by {'about' if any_covariance else 'at most'} {right:,.2g}"
    )
    return what, bool(found > WILD * right)


def about_movement(
    moved: np.ndarray, steps: int, describe: Callable[[np.ndarray], str]
) -> tuple[str, bool]:
    """What it says that draws of q move with further steps, or nothing; and whether it is wild.

    Parameters
    ----------
    moved : numpy.ndarray
        By how much in each coordinate, in sds of q, ``(D,)``; NaN where nobody knows.
    steps : int
        Within how many steps.
    describe : callable
        Names coordinates by their numbers.

    Examples
    --------
    >>> about_movement(np.array([0.1, 0.7]), 500, lambda where: f"x[{where[0]}]")
    ('draws of q move by 0.7 of their sd within 500 steps (x[1] the most)', False)
    >>> about_movement(np.array([0.1, 0.2]), 500, str)
    ('', False)
    """
    if not np.any(moved > MOVES):
        return "", False
    where = int(np.nanargmax(moved))
    most = float(moved[where])
    what = (
        f"draws of q move by {most:.2g} of their sd within {steps:,} steps "
        f"({describe(np.array([where]))} the most)"
    )
    return what, most > RUNS
