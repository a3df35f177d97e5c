"""What a trace of losses and the parameters at its end say against a run that ended by itself."""

from __future__ import annotations

import numpy as np

from vi.diagnostics.losses import finite

__all__ = ["about_losses", "about_normal", "spread"]

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
