"""How much a parameter vector has changed: the rule behind the convergence callback."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from vi.foundation.arguments import choice

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

    Raises
    ------
    TypeError
        If something is no vector of real numbers.
    ValueError
        If the lengths differ, or `diff` or `ord` is none of these.

    Examples
    --------
    >>> change(np.array([1.0, 2.0]), np.array([1.0, 1.5]), "absolute")
    0.5
    """
    choice("diff", diff, get_args(Difference.__value__))
    if isinstance(ord, bool) or not isinstance(ord, int | float | np.number) or np.isnan(ord):
        raise ValueError(f"ord={ord!r}: must be the order of a norm, a number or infinity.")
    for name, vector in (("current", current), ("previous", previous)):
        if np.ndim(vector) != 1 or np.asarray(vector).dtype.kind not in "fiub":
            raise TypeError(f"{name}={vector!r}: must be a vector of real numbers.")
    if len(current) != len(previous):
        raise ValueError(
            f"current has the shape {np.shape(current)} and previous {np.shape(previous)}; they "
            "must be equally long."
        )
    previous = np.asarray(previous)
    difference = np.abs(np.asarray(current) - previous)
    if diff == "relative":
        difference = (difference + EPSILON) / (np.abs(previous) + EPSILON)
    return float(np.linalg.norm(difference, ord))
