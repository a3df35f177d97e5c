"""What normals at several modes come to: the weights of their mixture, and what it gains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vi.diagnostics.importance import smoothed

__all__ = ["gain", "mixture_weights"]

SWEEPS, SETTLED = 200, 1e-6
"""The most improvements of the weights, and a change that is none: where components are apart the
first improvement is all there is."""


def mixture_weights(log_p: np.ndarray, log_parts: np.ndarray) -> tuple[np.ndarray, float]:
    r"""The weights with which a mixture is nearest to p, and Pareto k of the draws.

    With importance weights :math:`\omega_s` of draws of the mixture of equal weights,
    Pareto-smoothed, they maximise :math:`\sum_s \omega_s \log \sum_k w_k q_k(z_s)`, by the EM
    algorithm. Where components are apart that is in proportion to each one's estimate of the
    evidence, its mean of :math:`p / q_k`.

    Parameters
    ----------
    log_p : numpy.ndarray
        At as many draws of each component, together ``(S,)``; finite for some.
    log_parts : numpy.ndarray
        Log density of each component there, up to one constant, ``(S, K)``.

    References
    ----------
    Cappé, Douc, Guillin, Marin and Robert (2008). Adaptive importance sampling in general mixture
    classes. Statistics and Computing 18.

    Examples
    --------
    >>> import numpy as np
    >>> apart = np.array([[-1.0, -900.0], [-900.0, -1.0]])  # each draw is of one component
    >>> mixture_weights(np.log([3.0, 1.0]), apart)[0].round(3).tolist()
    [0.75, 0.25]
    """
    found = smoothed(log_p, np.logaddexp.reduce(log_parts, axis=1))
    omega = np.exp(found.log_weights)
    weights = np.full(log_parts.shape[1], 1.0 / log_parts.shape[1])
    for _ in range(SWEEPS):
        with np.errstate(divide="ignore"):
            logs = log_parts + np.log(weights)
        before = weights
        weights = omega @ np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        weights /= weights.sum()
        if np.abs(weights - before).max() < SETTLED:
            break
    return weights, found.k


def gain(
    log_p: Sequence[np.ndarray],
    log_parts: Sequence[np.ndarray],
    weights: np.ndarray,
    before: np.ndarray,
) -> tuple[float, float]:
    """The ELBO of a mixture less that with other weights, and its standard error.

    Each component's part of an ELBO comes of its own draws, which serve both: so that a small mode
    beside what was there is seen.

    Parameters
    ----------
    log_p : sequence of numpy.ndarray
        At draws of each component, ``(S,)`` each.
    log_parts : sequence of numpy.ndarray
        Log density of each component there, ``(S, K)`` each.
    weights, before : numpy.ndarray
        Of the components, ``(K,)``; 0 for those that one of both has not.
    """
    total, variance = 0.0, 0.0
    for part, (value, logs) in enumerate(zip(log_p, log_parts, strict=True)):
        terms = np.zeros(len(value))
        for sign, of in ((1.0, weights), (-1.0, before)):
            if of[part] > 0:
                known = of > 0
                log_q = np.logaddexp.reduce(logs[:, known] + np.log(of[known]), axis=1)
                terms = terms + sign * of[part] * (value - log_q)
        total += float(terms.mean())
        variance += float(terms.var() / len(terms))
    return (total, float(np.sqrt(variance))) if np.isfinite(total) else (-np.inf, np.nan)
