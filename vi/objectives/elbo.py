"""Minus the evidence lower bound in three estimators, which differ in their noise alone."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.families.family import Family, Noise, Params
from vi.foundation.batching import batched
from vi.foundation.numbers import number
from vi.objectives.base import ESTIMATORS, LogProb, Objective

__all__ = ["ClosedFormEntropy", "MonteCarlo", "StickingTheLanding"]


@dataclass(frozen=True)
class _WeightedElbo(Objective):
    r"""The weights that the three estimators share; with 1 and 1 it is the ELBO.

    Parameters
    ----------
    entropy_weight : float
        Weight of the entropy of q.
    prior_weight : float
        Weight of the log prior in the log density that is fitted. With one weight :math:`\beta` for
        both the loss is :math:`-E_q[\log p(y \mid z)] + \beta\, KL(q \| p(z))`, see
        :class:`vi.KLqp`.
    """

    entropy_weight: float = 1.0
    prior_weight: float = 1.0
    loss_name = "minus the ELBO"
    has_elbo = True
    linear_in_log_p = True
    asks_any_family = True

    def __post_init__(self) -> None:
        for name in ("entropy_weight", "prior_weight"):
            object.__setattr__(self, name, number(name, getattr(self, name), least=0.0))


@ESTIMATORS.register
@dataclass(frozen=True)
class ClosedFormEntropy(_WeightedElbo):
    r"""Minus ELBO with the entropy in closed form.

    .. math:: -\frac1K\sum_k \log p(z_k) - w\, H[q],\qquad
              z_k = \mathrm{draw}(\lambda, \epsilon_k)

    Needs a family with a closed-form entropy. Its loss is noisy even at the optimum, its gradient
    too.

    Parameters
    ----------
    entropy_weight : float
        Weight :math:`w` of the entropy; 1 is the ELBO.
    prior_weight : float
        Weight of the log prior in log p; 1 is the ELBO.

    References
    ----------
    Kucukelbir et al. (2017). Automatic differentiation variational inference. JMLR 18, eq. 9.
    """

    short_name = "closed_form"
    needs_entropy = True

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        entropy = family.entropy(params)
        if entropy is None:
            raise TypeError(
                f"The family {family.short_name!r} has no closed-form entropy; "
                "use estimator='sticking_the_landing' or 'monte_carlo'."
            )
        return -jnp.mean(log_prob(_draws(family, params, noises))) - self.entropy_weight * entropy


@ESTIMATORS.register
@dataclass(frozen=True)
class StickingTheLanding(_WeightedElbo):
    r"""Minus ELBO whose gradient drops the score of ``q``: no noise where ``q`` is exact.

    .. math:: \frac1K\sum_k w \log q(z_k \mid \mathrm{stop}(\lambda)) - \log p(z_k)

    The dropped term has expectation zero. Where the family contains the posterior, a single draw
    gives the exact gradient, 0, at the optimum. (With a weight of the entropy other than 1 the
    posterior raised to :math:`1 / w` takes its place.) The parameters are those of
    :class:`ClosedFormEntropy`.

    References
    ----------
    Roeder, Wu and Duvenaud (2017). Sticking the landing. NeurIPS, eq. 6.
    """

    short_name = "sticking_the_landing"
    noise_vanishes = True

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        points = _draws(family, params, noises)
        log_q = _log_q(family, params, noises, points)
        return jnp.mean(self.entropy_weight * log_q - log_prob(points))


@ESTIMATORS.register
@dataclass(frozen=True)
class MonteCarlo(_WeightedElbo):
    r"""Minus ELBO with the entropy estimated from the same draws.

    .. math:: \frac1K\sum_k w \log q(z_k \mid \lambda) - \log p(z_k)

    The plain estimator; for families without a closed-form entropy. Its loss equals the one of
    :class:`StickingTheLanding`, its gradient has more noise. The parameters are those of
    :class:`ClosedFormEntropy`.

    References
    ----------
    Kingma and Welling (2014). Auto-encoding variational Bayes. ICLR, eq. 6.
    """

    short_name = "monte_carlo"

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        points, log_q = batched(lambda noise: family.draw_and_log_prob(params, noise), noises)
        return jnp.mean(self.entropy_weight * log_q - log_prob(points))


def _draws(family: Family, params: Params, noises: Noise) -> jax.Array:
    return batched(lambda noise: family.draw(params, noise), noises)


def _log_q(family: Family, params: Params, noises: Noise, points: jax.Array) -> jax.Array:
    return batched(lambda draw: family.log_prob_of_draw(params, *draw), (noises, points))
