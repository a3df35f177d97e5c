"""How far a mean-field q is from where its ELBO is largest, along ridges too."""

from __future__ import annotations

import numpy as np

__all__ = ["way_left"]

CLEAR = 3.0
"""Standard errors by which a gradient differs from none."""

LEAST = 1e-10
"""Curvatures and gradients below are rounding."""


def way_left(noise: np.ndarray, scores: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    r"""Newton's step for the means of a mean-field q, in its standard deviations.

    With the noise :math:`e` and the scores in units of the sds, :math:`S(e)`, at both ends of
    antithetic pairs of draws,

    .. math:: g = E\,\tfrac12 [S(e) + S(-e)], \qquad
              \tfrac12 [S(e) - S(-e)] \approx -H e, \qquad \Delta = H^{-1} g,

    with :math:`H` by least squares. Where log p is quadratic both are exact, whatever the draws:
    along a ridge, on which gradient and curvature are small and iterates hardly move, the step
    still has its length. Directions whose gradient is not three standard errors from zero are left
    out; a curvature counts as two of its standard errors at the least, so that a step is rather
    too short.

    Parameters
    ----------
    noise : numpy.ndarray
        The noise of some draws, ``(n, D)`` with n above D.
    scores, opposite : numpy.ndarray
        Gradients of log p times the sds, at ``mean + sd * noise`` and ``mean - sd * noise``.

    Returns
    -------
    numpy.ndarray
        The step, ``(D,)``.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(1).normal(size=(20, 2))
    >>> precision = np.array([[1.0, -0.9999], [-0.9999, 1.0]])
    >>> left = np.array([5.0, 5.0])
    >>> scores, opposite = ((left - sign * noise) @ precision for sign in (1, -1))
    >>> way_left(noise, scores, opposite).round(6)
    array([5., 5.])
    """
    count = len(noise)
    even, odd = 0.5 * (scores + opposite), 0.5 * (scores - opposite)
    slopes = np.linalg.lstsq(noise, odd, rcond=None)[0]
    curvature, along = np.linalg.eigh(-0.5 * (slopes + slopes.T))
    gradient = even.mean(axis=0) @ along
    error = (even @ along).std(axis=0) / np.sqrt(count)
    unsure = ((odd - noise @ slopes) @ along).std(axis=0) / np.sqrt(count)
    clear = np.abs(gradient) > CLEAR * error + LEAST
    step: np.ndarray = along @ np.where(
        clear, gradient / np.maximum(curvature, np.maximum(2 * unsure, LEAST)), 0.0
    )
    return step
