"""Globals by importance sampling of their marginal density, and all others given them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vi.diagnostics.importance import Weights, smoothed
from vi.families import Structured
from vi.search.given_globals import NORMAL, TOO_FAR, Given, GivenGlobals
from vi.search.inner_summit import Inner, NoSummitError
from vi.search.marginal_laplace import MarginalLaplace
from vi.search.split_t import SplitT, split_t
from vi.targets.base import Target

__all__ = ["Integrated", "integrated"]

ROUNDS, EACH = 8, 400
"""Proposals, and draws of each."""

ENOUGH = 1000
"""Effective draws of the globals: a mean is off by a thirtieth of an sd, an sd by 2 %."""

FIRST = 1.25
"""How much wider than Laplace's approximation the first proposal is."""

RARE = 0.05
"""Share of the mass that may have candidates too far to be weighed."""

WIDEST = 5.0
"""Spread beyond which a mass is not told apart any more: it is at least e^12 times Laplace's."""


class Integrated(NamedTuple):
    """Draws, and how far they can be relied on.

    Parameters
    ----------
    points : numpy.ndarray
        ``(draws, D)``.
    weights : Weights
        Those of the globals that were drawn, before some were chosen.
    log_evidence, error : float
        The logarithm of the evidence, and the standard error of its estimate.
    spread : float
        The spread of the others' log weights given the globals, its median.
    others : {"exact", "weighed", "normal"}
        What the others are given the globals: their density, a normal whose draws were weighed, or
        a normal that is taken as it is.
    products : int
        Gradients and products with the Hessian.
    """

    points: np.ndarray
    weights: Weights
    log_evidence: float
    error: float
    spread: float
    others: str
    products: int


def integrated(
    target: Target,
    family: Structured,
    laplace: MarginalLaplace,
    draws: int,
    seed: tuple[int, ...],
) -> Integrated:
    r"""Draw globals by importance weights, then all others given them.

    .. math:: w_k = \hat p(g_k) \frac1S \sum_s \frac{p(g_k, z_{ks})}{\hat p(g_k) N(z_{ks} | g_k)}
        \Big/ t(g_k)

    where :math:`\hat p` is Laplace's marginal density and *N* its normal. Proposals :math:`t` have
    a scale for either side of each axis (:class:`SplitT`), the first at Laplace's approximation of
    the globals, each further one as the weights before have it; a draw counts as one of their
    mixture. Given the globals the others are normal draws, chosen by the terms of the sum.
    Where these spread too far the sum is left out, and globals and others are as Laplace has them.

    Parameters
    ----------
    target : Target
        The log density.
    family : Structured
        A family with its structure, with globals.
    laplace : MarginalLaplace
        Laplace's approximation in that structure.
    draws : int
        How many are kept.
    seed : tuple of int
        Words of a seed.

    Raises
    ------
    NoSummitError
        If the marginal density is finite at none of the draws.

    References
    ----------
    Cornuet, Marin, Mira and Robert (2012). Adaptive multiple importance sampling. Scandinavian
    Journal of Statistics 39.

    Rue, Martino and Chopin (2009). Approximate Bayesian inference for latent Gaussian models by
    using integrated nested Laplace approximations. JRSS B 71.
    """
    inner = Inner(target, family)
    given = GivenGlobals(inner, laplace, seed)
    rng = np.random.default_rng(seed)
    sides = np.full(len(inner.globals), FIRST)
    proposals = [SplitT(laplace.params["mu"][inner.globals], laplace.params["lower"], sides, sides)]
    globals_ = np.empty((0, len(sides)))
    looks: list[Given] = []
    for turn in range(ROUNDS):
        fresh = proposals[-1].draw(EACH, rng)
        looks.append(given.look(fresh, turn * EACH + np.arange(EACH)))
        globals_ = np.concatenate([globals_, fresh])
        log_q = np.logaddexp.reduce([p.log_prob(globals_) for p in proposals], axis=0)
        log_q -= np.log(len(proposals))
        log_p, spread, others = _marginal(np.concatenate(looks, axis=1), log_q)
        if not np.isfinite(log_p).any():
            raise NoSummitError("given the globals no draw has a maximum of the others")
        weights = smoothed(log_p, log_q)
        if weights.ess >= ENOUGH:
            break
        proposals.append(_learned(globals_, weights, proposals[-1].lower))
    ratios = log_p - log_q
    log_evidence = float(np.logaddexp.reduce(ratios) - np.log(len(ratios)))
    error = float(np.std(np.exp(ratios - log_evidence)) / np.sqrt(len(ratios)))
    chosen, copies = np.unique(weights.resampled(draws, rng), return_counts=True)
    points = given.draw(globals_[chosen], chosen, copies, weigh=others == "weighed")
    return Integrated(
        rng.permutation(points), weights, log_evidence, error, spread, others, inner.products
    )


def _marginal(found: np.ndarray, log_q: np.ndarray) -> tuple[np.ndarray, float, str]:
    """The marginal log density at draws, from what is known at each ``(3, K)``.

    Of log weights with a spread of s the mean is about half of s squared above their own, but few
    of them hardly ever see it: where they spread widely they say too little, and the mass that is
    lost does not show in what they say. So that mass is guessed by s.
    """
    value, correction, spreads = found
    finite = np.isfinite(value)
    spread = float(np.median(spreads[finite])) if finite.any() else 0.0
    if not finite.any() or float(spreads[finite].max()) < NORMAL:
        return value + correction, spread, "exact"
    guessed = np.maximum(correction, 0.5 * np.minimum(spreads, WIDEST) ** 2)
    mass = np.where(finite, value + guessed - log_q, -np.inf)
    mass = np.exp(mass - np.logaddexp.reduce(mass))
    if mass[spreads > TOO_FAR].sum() > RARE:
        return value, spread, "normal"
    return value + correction, spread, "weighed"


def _learned(points: np.ndarray, weights: Weights, before: np.ndarray) -> SplitT:
    """What weighted draws say of the next proposal; of covariances as much as they know."""
    own = np.exp(weights.log_weights)
    off = points - own @ points
    share = weights.ess / (weights.ess + points.shape[1])
    covariance = share * (off.T * own) @ off + (1 - share) * before @ before.T
    return split_t(points, own, np.linalg.cholesky(covariance))
