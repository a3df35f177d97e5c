"""How far particles are from a posterior, by Stein's discrepancy of a kernel."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from vi.kernels import IMQ

__all__ = ["relative_discrepancy"]

MOST = 2000
"""Particles that are looked at: all pairs take some copies of 32 MB."""


def relative_discrepancy(points: np.ndarray, scores: np.ndarray) -> float:
    r"""The squared kernelised Stein discrepancy, relative to that of independent draws.

    The V-statistic :math:`\frac{1}{n^2} \sum_{ij} k_p(x_i, x_j)` of the inverse multiquadric
    kernel, which sees tails, in the points' own standard deviations, over what it is expected to be
    for so many independent draws of p: its terms :math:`i = j`. Particles that keep apart have
    less than 1.

    Parameters
    ----------
    points, scores : numpy.ndarray
        Particles and the scores of log p there, ``(n, D)``.

    References
    ----------
    Gorham and Mackey (2017). Measuring sample quality with kernels. ICML.
    """
    points, scores = points[:MOST], scores[:MOST]
    std = points.std(axis=0)
    unit = np.where(std > 0, std, 1.0)
    x, s = (points - points.mean(axis=0)) / unit, scores * unit
    middle = float(np.median(_squares(x)[np.triu_indices(len(x), 1)]))
    kernel = IMQ(bandwidth=middle if middle > 0 else 1.0, standardize=False)
    sums = kernel.sums(jnp.asarray(x), jnp.asarray(s))
    whole = float(jnp.sum(s * sums.attraction) + 2 * jnp.sum(s * sums.repulsion) + sums.trace)
    alone = kernel.sums(jnp.asarray(x[:1]), jnp.asarray(s[:1])).trace
    own = float(np.sum(s**2) + len(x) * float(alone))
    return whole / own


def _squares(x: np.ndarray) -> np.ndarray:
    """Squared distances of all pairs."""
    lengths = np.sum(x**2, axis=1)
    squares: np.ndarray = np.maximum(lengths[:, None] + lengths - 2 * x @ x.T, 0.0)
    return squares
