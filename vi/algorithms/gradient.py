"""Stochastic gradient descent of an objective: ADVI and its relatives."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from vi.algorithms.base import ALGORITHMS, Asked, State
from vi.algorithms.descent import Descent
from vi.families.family import Params
from vi.objectives.base import Objective
from vi.objectives.elbo import StickingTheLanding

__all__ = ["Gradient"]


@ALGORITHMS.register
@dataclass(frozen=True)
class Gradient(Descent):
    r"""Descend an objective with an optax transformation; see :class:`Descent` for the other
    parameters.

    The objective sees the *linearised* log density
    :math:`z \mapsto \ell_k + s_k^\top (z - \mathrm{stop}(z_k))`, which has
    the model's value and gradient at the drawn point; for every first-order method its gradient is
    the exact one.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    """

    objective: Objective = field(default_factory=StickingTheLanding)
    short_name = "gradient"

    @property
    def loss_name(self) -> str:  # type: ignore[override]
        """What the objective says its loss is."""
        return self.objective.loss_name

    def ask(self, state: State) -> Asked:
        noises = self.noises(state)
        return Asked(self.draws(state.params, noises), noises)

    def tell(
        self, state: State, asked: Asked, log_prob: jax.Array, score: jax.Array
    ) -> tuple[State, jax.Array]:
        def linearised(z: jax.Array) -> jax.Array:
            return log_prob + jnp.sum(score * (z - jax.lax.stop_gradient(asked.points)), axis=-1)

        def loss_of(params: Params) -> jax.Array:
            return self.objective.loss(self.family, params, asked.memo, linearised)

        loss, gradient = jax.value_and_grad(loss_of)(state.params)
        return self.descend(state, loss, gradient), loss
