"""Minus the evidence lower bound in three estimators, which differ in their noise alone."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.families.family import Family, Noise, Params
from vi.foundation.batching import batched
from vi.objectives.base import ESTIMATORS, LogProb, Objective

__all__ = ["ClosedFormEntropy", "MonteCarlo", "StickingTheLanding"]


@ESTIMATORS.register
@dataclass(frozen=True)
class ClosedFormEntropy(Objective):
    r"""Minus ELBO with the entropy in closed form.

    .. math:: -\frac1K\sum_k \log p(z_k) - \beta\, H[q],\qquad
              z_k = \mathrm{draw}(\lambda, \epsilon_k)

    Needs a family with a closed-form entropy. Its loss is noisy even at the optimum, its gradient
    too.

    Parameters
    ----------
    beta : float
        Weight of the entropy; 1 is the ELBO.

    References
    ----------
    Kucukelbir et al. (2017). Automatic differentiation variational inference. JMLR 18, eq. 9.
    """

    beta: float = 1.0
    short_name = "closed_form"
    loss_name = "minus the ELBO"
    has_elbo = True
    linear_in_log_p = True
    needs_entropy = True

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        entropy = family.entropy(params)
        if entropy is None:
            raise TypeError(
                f"The family {family.short_name!r} has no closed-form entropy; "
                "use estimator='sticking_the_landing' or 'monte_carlo'."
            )
        return -jnp.mean(log_prob(_draws(family, params, noises))) - self.beta * entropy


@ESTIMATORS.register
@dataclass(frozen=True)
class StickingTheLanding(Objective):
    r"""Minus ELBO whose gradient drops the score of ``q``: no noise where ``q`` is exact.

    .. math:: \frac1K\sum_k \beta \log q(z_k \mid \mathrm{stop}(\lambda)) - \log p(z_k)

    The dropped term has expectation zero. Where the family contains the posterior, a single draw
    gives the exact gradient, 0, at the optimum. (With ``beta`` other than 1 the posterior raised to
    ``1 / beta`` takes its place.)

    References
    ----------
    Roeder, Wu and Duvenaud (2017). Sticking the landing. NeurIPS, eq. 6.
    """

    beta: float = 1.0
    short_name = "sticking_the_landing"
    loss_name = "minus the ELBO"
    has_elbo = True
    linear_in_log_p = True
    noise_vanishes = True

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        points = _draws(family, params, noises)
        return jnp.mean(
            self.beta * _log_q(family, jax.lax.stop_gradient(params), points) - log_prob(points)
        )


@ESTIMATORS.register
@dataclass(frozen=True)
class MonteCarlo(Objective):
    r"""Minus ELBO with the entropy estimated from the same draws.

    .. math:: \frac1K\sum_k \beta \log q(z_k \mid \lambda) - \log p(z_k)

    The plain estimator; for families without a closed-form entropy. Its loss equals the one of
    :class:`StickingTheLanding`, its gradient has more noise.

    References
    ----------
    Kingma and Welling (2014). Auto-encoding variational Bayes. ICLR, eq. 6.
    """

    beta: float = 1.0
    short_name = "monte_carlo"
    loss_name = "minus the ELBO"
    has_elbo = True
    linear_in_log_p = True

    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        points, log_q = batched(lambda noise: family.draw_and_log_prob(params, noise), noises)
        return jnp.mean(self.beta * log_q - log_prob(points))


def _draws(family: Family, params: Params, noises: Noise) -> jax.Array:
    return batched(lambda noise: family.draw(params, noise), noises)


def _log_q(family: Family, params: Params, points: jax.Array) -> jax.Array:
    return batched(lambda z: family.log_prob(params, z), points)
