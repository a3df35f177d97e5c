"""Stochastic gradient descent of an objective: ADVI and its relatives."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from vi.algorithms.base import Algorithm, Asked, State
from vi.batching import batched
from vi.families.base import Family, Params
from vi.objectives.base import Objective
from vi.optimizers.averaging import Averaging

__all__ = ["Gradient"]


@dataclass(frozen=True)
class Gradient(Algorithm):
    r"""Descend an objective with an optax transformation.

    The objective sees the *linearised* log density
    :math:`z \mapsto \ell_k + s_k^\top (z - \mathrm{stop}(z_k))`, which has
    the model's value and gradient at the drawn point; for every first-order method its gradient is the exact one.

    Parameters
    ----------
    family : Family
        What is fitted.
    objective : Objective
        What is minimised.
    optimizer : optax.GradientTransformation
        Any optax transformation that needs no line search. If it takes extra arguments it is handed ``value`` (the
        loss), ``grad`` and ``units=family.units(params)``.
    averaging : Averaging or None
        How iterates are averaged; ``None`` reports the iterate itself.
    n_draws : int
        Draws ``K`` a step.
    max_gradient_norm : float or None
        Longer gradients are scaled down to this Euclidean norm (over all parameters) before the optimiser sees them.
    """

    family: Family
    objective: Objective
    optimizer: optax.GradientTransformation
    averaging: Averaging | None = None
    n_draws: int = 1
    max_gradient_norm: float | None = None

    def init(self, params: Params, key: jax.Array) -> State:
        average = () if self.averaging is None else self.averaging.init(params)
        return State(params, self._transformation().init(params), average, key, jnp.zeros((), jnp.uint32))

    def ask(self, state: State) -> Asked:
        noises = batched(lambda key: self.family.noise(key, state.params), self._keys(state))
        return Asked(batched(lambda noise: self.family.draw(state.params, noise), noises), noises)

    def tell(self, state: State, asked: Asked, log_prob: jax.Array, score: jax.Array) -> tuple[State, jax.Array]:
        def linearised(z: jax.Array) -> jax.Array:
            return log_prob + jnp.sum(score * (z - jax.lax.stop_gradient(asked.points)), axis=-1)

        def loss_of(params: Params) -> jax.Array:
            return self.objective.loss(self.family, params, asked.memo, linearised)

        loss, gradient = jax.value_and_grad(loss_of)(state.params)
        updates, optimizer_state = self._transformation().update(
            gradient,
            state.optimizer,
            state.params,
            value=loss,
            grad=gradient,
            units=self.family.units(state.params),
        )
        params = optax.apply_updates(state.params, updates)
        average = state.average if self.averaging is None else self.averaging.update(state.average, params)
        return State(params, optimizer_state, average, state.key, state.step + 1), loss

    def report(self, state: State) -> Params:
        return state.params if self.averaging is None else self.averaging.value(state.average)

    def _transformation(self) -> optax.GradientTransformationExtraArgs:
        if self.max_gradient_norm is None:
            return optax.with_extra_args_support(self.optimizer)
        return optax.chain(optax.clip_by_global_norm(self.max_gradient_norm), self.optimizer)

    def _keys(self, state: State) -> jax.Array:
        """The keys of this step's draws: a function of the run's key and the step alone."""
        counters = state.step * jnp.uint32(self.n_draws) + jnp.arange(self.n_draws, dtype=jnp.uint32)
        return batched(lambda counter: jax.random.fold_in(state.key, counter), counters)
