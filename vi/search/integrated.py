"""Globals by importance sampling of their marginal density, and all others given them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vi.diagnostics.importance import Weights, smoothed
from vi.families import Structured
from vi.search.given_globals import GivenGlobals
from vi.search.inner_summit import Inner
from vi.search.kernel_mixture import KernelMixture, kernel_mixture
from vi.search.marginal_laplace import MarginalLaplace
from vi.search.sampled_globals import SampledGlobals
from vi.search.split_t import SplitT, split_t
from vi.search.walkers import stretched
from vi.targets.base import Target

__all__ = ["Integrated", "integrated"]

ROUNDS, EACH = 8, 400
"""Proposals, and draws of each."""

ENOUGH = 1000
"""Effective draws of the globals: a mean is off by a thirtieth of an sd, an sd by 2 %."""

FIRST = 1.25
"""How much wider than Laplace's approximation the first proposal is."""

SUSPECT = 0.3
"""Pareto k of these weights from which on tails are looked for. Draws that have not met a tail do
not say so: of a scale that may be 0 a tail with 3 % of the mass was missed with a k of 0.3 to 0.9,
while posteriors that those proposals cover have one around 0."""

WIDER, WALKERS, TURNS, POWER = 2.0, 256, 20, 0.4
"""Who looks for them: walkers, that begin at draws so much wider than Laplace's approximation, how
often each moves, and the power of the density, in which tails have more of the mass."""

JITTER = 0.1
"""How far from the draws that they are chosen from walkers begin, in Laplace's widths."""

EXPLORED = 3
"""How often they go on, at the most, while the weights of the draws around them are no better."""

LAST = 2400
"""Draws after that, of proposals that have learned nothing from them."""


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
    missed : bool
        Whether tails may have been missed, as there was no budget to look for them.
    products : int
        Gradients and products with the Hessian.
    """

    points: np.ndarray
    weights: Weights
    log_evidence: float
    error: float
    spread: float
    others: str
    missed: bool
    products: int


def integrated(
    target: Target,
    family: Structured,
    laplace: MarginalLaplace,
    draws: int,
    seed: tuple[int, ...],
    most: float = np.inf,
) -> Integrated:
    r"""Draw globals by importance weights, then all others given them.

    .. math:: w_k = \hat p(g_k) \frac1S \sum_s \frac{p(g_k, z_{ks})}{\hat p(g_k) N(z_{ks} | g_k)}
        \Big/ t(g_k)

    where :math:`\hat p` is Laplace's marginal density and *N* its normal. Proposals :math:`t` have
    a scale for either side of each axis (:class:`SplitT`), the first at Laplace's approximation of
    the globals, each further one as the weights before have it; a draw counts as one of their
    mixture. Given the globals the others are normal draws, chosen by the terms of the sum.
    Where these spread too far the sum is left out, and globals and others are as Laplace has them.
    Where these weights have a Pareto k above 0.3, or fewer than half of the draws count, walkers
    look for tails that no draw has met, and the draws are those of proposals around the walkers.

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
    most : float
        Gradients and products that it may take, about.

    Raises
    ------
    NoSummitError
        If the marginal density is finite at none of the draws.

    References
    ----------
    Goodman and Weare (2010). Ensemble samplers with affine invariance. Communications in Applied
    Mathematics and Computational Science 5.

    Cornuet, Marin, Mira and Robert (2012). Adaptive multiple importance sampling. Scandinavian
    Journal of Statistics 39.

    Rue, Martino and Chopin (2009). Approximate Bayesian inference for latent Gaussian models by
    using integrated nested Laplace approximations. JRSS B 71.
    """
    inner = Inner(target, family)
    rng = np.random.default_rng(seed)
    sampled = SampledGlobals(GivenGlobals(inner, laplace, seed), rng)
    mode = laplace.params["mu"][inner.globals], laplace.params["lower"]
    log_p, log_q = _adapted(sampled, *mode)
    weights = smoothed(log_p, log_q)
    missed = weights.k > SUSPECT or weights.ess < len(log_p) / 2
    missed &= not weights.nearly_equal and sampled.others != "normal"
    each = inner.products / len(log_p)
    if missed and inner.products + each * (TURNS * WALKERS + 2 * EACH + LAST) <= most:
        log_p, log_q = _explored(sampled, *mode, most)
        weights, missed = smoothed(log_p, log_q), False
    ratios = log_p - log_q
    log_evidence = float(np.logaddexp.reduce(ratios) - np.log(len(ratios)))
    error = float(np.std(np.exp(ratios - log_evidence)) / np.sqrt(len(ratios)))
    chosen, copies = np.unique(weights.resampled(draws, rng), return_counts=True)
    points = sampled.draw(chosen, copies)
    return Integrated(
        points=rng.permutation(points),
        weights=weights,
        log_evidence=log_evidence,
        error=error,
        spread=sampled.spread,
        others=sampled.others,
        missed=missed,
        products=inner.products,
    )


def _adapted(
    sampled: SampledGlobals, mode: np.ndarray, lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log densities at draws of proposals of which each has learned from the draws before."""
    sides = np.full(len(mode), FIRST)
    proposals = [SplitT(mode, lower, sides, sides)]
    for _ in range(ROUNDS):
        sampled.add(proposals[-1], EACH)
        log_p, log_q = sampled.log_densities(proposals)
        weights = smoothed(log_p, log_q)
        if weights.ess >= ENOUGH:
            break
        proposals.append(_learned(sampled.points, weights, proposals[-1].lower))
    return log_p, log_q


def _explored(
    sampled: SampledGlobals, mode: np.ndarray, lower: np.ndarray, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log densities at draws around walkers that have looked for tails.

    The proposals know nothing of their draws: those that learn from the draws that they weigh put
    more density where these happen to be, and mass that few draws have met is lost.
    """
    rng, inner, sides = sampled.rng, sampled.given.inner, np.full(len(mode), WIDER)
    wide = SplitT(mode, lower, sides, sides)
    sampled.begin_anew()
    sampled.add(wide, EACH)
    log_p, log_q = sampled.log_densities([wide])
    flat = smoothed(POWER * log_p, log_q)
    # few of the draws may count, and walkers that are all at few points do not leave their plane
    jitter = JITTER * rng.standard_normal((WALKERS, len(mode))) @ lower.T
    walkers = sampled.points[flat.resampled(WALKERS, rng)] + jitter
    values = sampled.look(walkers)
    for _ in range(EXPLORED):
        before = inner.products
        walkers, values = stretched(sampled.look, walkers, values, POWER, TURNS, rng)
        around = kernel_mixture(walkers)
        sampled.begin_anew()
        sampled.add(around, EACH)
        weights = smoothed(*sampled.log_densities([around]))
        learned = _learned(sampled.points, weights, lower)
        proposals: list[SplitT | KernelMixture] = [around, learned]
        sampled.begin_anew()
        for proposal in proposals:
            sampled.add(proposal, LAST // len(proposals))
        log_p, log_q = sampled.log_densities(proposals)
        weights = smoothed(log_p, log_q)
        good = weights.k <= SUSPECT and weights.ess >= LAST / 4
        # another time would take as many products as this one
        if good or 2 * inner.products - before > most:
            break
    return log_p, log_q


def _learned(points: np.ndarray, weights: Weights, before: np.ndarray) -> SplitT:
    """What weighted draws say of the next proposal; of covariances as much as they know."""
    own = np.exp(weights.log_weights)
    off = points - own @ points
    share = weights.ess / (weights.ess + points.shape[1])
    covariance = share * (off.T * own) @ off + (1 - share) * before @ before.T
    return split_t(points, own, np.linalg.cholesky(covariance))
