"""What an objective is: a scalar of the parameters, K draws' noises and the log density."""

from __future__ import annotations

import abc
from collections.abc import Callable

import jax

from vi.families.family import Family, Noise, Params
from vi.foundation.registry import Registry

__all__ = ["ESTIMATORS", "LogProb", "Objective"]

type LogProb = Callable[[jax.Array], jax.Array]
"""Log densities of K points: ``(K, D) -> (K,)``."""


class Objective(abc.ABC):
    """A loss whose gradient with respect to ``params`` is what a step follows.

    A frozen dataclass. The loss is an estimate for the **full data**; it is a pure JAX function.
    To write one, subclass this in one file under ``@ESTIMATORS.register`` and give it the names
    below; *Extending* in the documentation has a worked example.
    """

    short_name: str
    """Name of the objective in files, logs and arguments."""

    loss_name: str = "the objective"
    """What its loss is, ``"minus the ELBO"`` for example."""

    has_elbo: bool = False
    """Whether the loss estimates minus the ELBO, so that runs can be compared by it."""

    linear_in_log_p: bool = False
    """Whether the loss is linear in log p of each draw.

    Only then is it unbiased with log p of a batch, scaled to all rows, in the place of log p:
    minibatches, streams and local variables are refused without it.
    """

    fewest_draws: int = 1
    """Draws a step below which it is another objective; what a fit takes at least by default."""

    draws_together: int = 1
    """Draws that the loss takes together: a step has a multiple of them."""

    needs_entropy: bool = False
    """Whether it can be used only with families that have a closed-form entropy."""

    prior_weight: float = 1.0
    """What multiplies the log prior, log Jacobians included, in the log density of the steps."""

    asks_any_family: bool = False
    """Whether the loss calls nothing of the family but what every :class:`vi.families.Family` has.

    Gradients can then be taken in coordinates in which q is a standard one, with a family of that
    kind in the place of q's.
    """

    noise_vanishes: bool = False
    """Whether a single draw's gradient is zero at an optimum at which q is exact."""

    @abc.abstractmethod
    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        """Scalar to be minimised, from the draws that ``K`` noises (leading axis) make."""


ESTIMATORS: Registry[type[Objective]] = Registry("objective", of=Objective)
"""The objectives by name: ``estimator=`` takes the names, files hold them, contract tests run over
all that are registered."""
