"""How much a parameter vector has changed: the rule behind the convergence callback."""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["Difference", "change"]

type Difference = Literal["relative", "absolute"]

EPSILON = 1e-6


def change(
    current: np.ndarray, previous: np.ndarray, diff: Difference, ord: float = np.inf
) -> float:
    r"""Norm of the change of a vector.

    .. math:: \bigl\|\,|c - p|\,\bigr\|_{ord} \quad\text{or}\quad
              \bigl\|\,(|c - p| + \epsilon) / (|p| + \epsilon)\,\bigr\|_{ord},

    with :math:`\epsilon = 10^{-6}`, which is for parameters that are 0.

    Parameters
    ----------
    current, previous : numpy.ndarray
        Vectors of equal length.
    diff : {"relative", "absolute"}
        Which of the two.
    ord : float
        Order of the norm, as in :func:`numpy.linalg.norm`.

    Examples
    --------
    >>> change(np.array([1.0, 2.0]), np.array([1.0, 1.5]), "absolute")
    0.5
    """
    difference = np.abs(current - previous)
    if diff == "relative":
        difference = (difference + EPSILON) / (np.abs(previous) + EPSILON)
    return float(np.linalg.norm(difference, ord))
