"""Minus the importance-weighted bound: nearer to the evidence than the ELBO, from K draws each."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.families.family import Family, Noise, Params
from vi.foundation.batching import batched
from vi.foundation.numbers import whole
from vi.objectives.base import ESTIMATORS, LogProb, Objective

__all__ = ["ImportanceWeighted"]


@ESTIMATORS.register
@dataclass(frozen=True)
class ImportanceWeighted(Objective):
    r"""Minus the importance-weighted bound of ``K`` draws, its gradient without the score of q.

    .. math:: -\mathcal L_K = -E\Bigl[\log \frac1K\sum_{k=1}^K w_k\Bigr],\qquad
              w_k = \frac{p(z_k)}{q(z_k \mid \lambda)}

    With one draw it is the ELBO; with more it rises towards the log evidence, and what is fitted is
    less the q nearest to the posterior in :math:`KL(q \| p)` than one whose weighted draws stand
    for it: wider where q has not the posterior's shape. So sample with weights,
    ``approx.sample(resample="psis")``. The gradient is the doubly reparametrised one,

    .. math:: \sum_k \Bigl(\frac{w_k}{\sum_j w_j}\Bigr)^2
              \frac{\partial \log w_k}{\partial z_k} \frac{\partial z_k}{\partial \lambda},

    whose expectation is that of the bound, and which is zero where q is exact. A step has a
    multiple of `draws` (``obj_n_mc=``), by default just so many; of several groups the mean is
    taken.

    The logarithm of an average is not linear in log p: with log p of a batch in the place of all
    rows' it would be another bound, and batches, streams and local variables are refused.

    Parameters
    ----------
    draws : int
        Draws ``K`` behind one logarithm.

    Raises
    ------
    ValueError
        If `draws` is not a whole number of at least 1.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     x = pm.Normal("x")
    ...     bound = vi.objectives.ImportanceWeighted(5)
    ...     fit = vi.fit(200, estimator=bound, random_seed=1, progressbar=False)
    >>> fit.settings()["loss"]
    'minus the importance-weighted bound of 5 draws'

    References
    ----------
    Burda, Grosse and Salakhutdinov (2016). Importance weighted autoencoders. ICLR, eq. 8.
    Tucker, Lawson, Gu and Maddison (2019). Doubly reparameterized gradient estimators for Monte
    Carlo objectives. ICLR, eq. 8.
    """

    draws: int = 10
    short_name = "importance_weighted"
    asks_any_family = True
    noise_vanishes = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "draws", whole("ImportanceWeighted(draws", self.draws, 1))

    @property
    def loss_name(self) -> str:  # type: ignore[override]
        """What its loss is, with the number of draws: bounds of different ones do not compare."""
        return f"minus the importance-weighted bound of {self.draws} draws"

    @property
    def fewest_draws(self) -> int:  # type: ignore[override]
        """As many draws as one logarithm takes."""
        return self.draws

    @property
    def draws_together(self) -> int:  # type: ignore[override]
        """As many draws as one logarithm takes."""
        return self.draws

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        points = batched(lambda noise: family.draw(params, noise), noises)
        still = jax.lax.stop_gradient(params)
        log_q = batched(lambda z: family.log_prob(still, z), points)
        log_weights = (log_prob(points) - log_q).reshape(-1, self.draws)
        bound = jax.nn.logsumexp(log_weights, axis=1) - jnp.log(self.draws)
        shares = jax.lax.stop_gradient(jax.nn.softmax(log_weights, axis=1))
        # its value is of no interest, its gradient is that of the bound; a draw at which p is 0
        # counts in both, as a share of nothing
        way = jnp.sum(shares**2 * jnp.where(shares > 0, log_weights, 0.0), axis=1)
        return -jnp.mean(jax.lax.stop_gradient(bound - way) + way)
