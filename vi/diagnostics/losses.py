"""What a loss trace says: its recent average, and whether it still falls."""

from __future__ import annotations

import numpy as np

__all__ = ["average_loss", "finite", "recent", "still_falling"]


WINDOW = 1000


def recent(losses: np.ndarray) -> np.ndarray:
    """The last quarter's losses, 1,000 at most."""
    return losses[-max(1, min(WINDOW, len(losses) // 4)) :]


def average_loss(losses: np.ndarray) -> float:
    """Mean of the last quarter's losses (1,000 at most), NaN if there are none."""
    last = finite(recent(losses))
    return float(np.mean(last)) if len(last) else float("nan")


def finite(losses: np.ndarray) -> np.ndarray:
    """The losses of the steps that were made: those of steps left out are NaN."""
    return losses[~np.isnan(losses)]


def still_falling(losses: np.ndarray) -> bool:
    """Whether the last quarter's losses (1,000 at most) are clearly below those before them.

    Clearly: by more than 0.1 and by more than 5 standard errors of the difference.
    """
    window = min(WINDOW, len(losses) // 4)
    if window < 20:
        return False
    last, before = losses[-window:], losses[-2 * window : -window]
    error = float(np.sqrt((np.nanvar(last) + np.nanvar(before)) / window))
    return float(np.nanmean(before) - np.nanmean(last)) > max(0.1, 5 * error)
