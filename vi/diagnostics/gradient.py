"""The ELBO's gradient at the end of a fit, in units of q: what is left to gain in one step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Slope", "slope"]

SIGNIFICANT = 4.0
"""Standard errors beyond which a slope is no noise, among some thousands of coordinates."""


@dataclass(frozen=True)
class Slope:
    r"""The gradient in locations and scales, by coordinate.

    Parameters
    ----------
    mean, mean_error : numpy.ndarray
        How far Newton's step with q's covariance would move each mean, in standard deviations, and
        its standard error: :math:`\Sigma\, E_q[\nabla \log p] / \sigma`, ``(D,)``.
    sd, sd_error : numpy.ndarray
        The derivative of the ELBO in the logarithm of each scale: :math:`1 + E_q[(z_i - \mu_i)
        \, \partial_i \log p]`, ``(D,)``; positive where q is too narrow.
    """

    mean: np.ndarray
    mean_error: np.ndarray
    sd: np.ndarray
    sd_error: np.ndarray

    @property
    def certain(self) -> np.ndarray:
        """The part of the larger of both that is no noise, ``(D,)``."""
        mean = np.abs(self.mean) - SIGNIFICANT * self.mean_error
        sd = np.abs(self.sd) - SIGNIFICANT * self.sd_error
        certain: np.ndarray = np.maximum(np.maximum(mean, sd), 0.0)
        return certain


def slope(
    points: np.ndarray, scores: np.ndarray, mean: np.ndarray, std: np.ndarray, root: np.ndarray
) -> Slope:
    """The gradient from draws of q and the scores of log p there, both ``(S, D)``.

    Parameters
    ----------
    points, scores : numpy.ndarray
        Finite.
    mean, std : numpy.ndarray
        Of q.
    root : numpy.ndarray
        A root of q's covariance ``(D, D)``, or standard deviations ``(D,)``.
    """
    moves = scores * root**2 if root.ndim == 1 else (scores @ root) @ root.T
    moves = moves / std
    widens = 1.0 + scores * (points - mean)
    errors = [values.std(axis=0) / np.sqrt(len(points)) for values in (moves, widens)]
    return Slope(moves.mean(axis=0), errors[0], widens.mean(axis=0), errors[1])
