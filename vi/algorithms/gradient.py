"""Stochastic gradient descent of an objective: ADVI and its relatives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from vi.algorithms.base import ALGORITHMS, Question, Rows, State
from vi.algorithms.descent import Descent
from vi.families.family import Family, Frame, Params
from vi.foundation.batching import batched
from vi.foundation.slopes import with_slope
from vi.objectives.base import LogProb, Objective
from vi.objectives.elbo import StickingTheLanding

__all__ = ["Gradient"]


@ALGORITHMS.register
@dataclass(frozen=True)
class Gradient(Descent):
    r"""Descend an objective with an optax transformation; see :class:`Descent`.

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

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_kind("objective", Objective)
        together = self.objective.draws_together
        if self.n_draws % together:
            raise ValueError(
                f"Gradient(n_draws={self.n_draws}): the objective {self.objective.short_name!r} "
                f"takes {together} draws together; give a multiple of {together}."
            )

    @property
    def has_elbo(self) -> bool:  # type: ignore[override]
        """Whether the objective's loss is minus the ELBO."""
        return self.objective.has_elbo

    @property
    def entropy_weight(self) -> float | None:  # type: ignore[override]
        """The objective's, where its loss is minus an ELBO."""
        return getattr(self.objective, "entropy_weight", None) if self.has_elbo else None

    @property
    def linear_in_log_p(self) -> bool:  # type: ignore[override]
        """Whether the objective's loss is linear in log p."""
        return self.objective.linear_in_log_p

    @property
    def prior_weight(self) -> float:  # type: ignore[override]
        """What multiplies the log prior in the log density of the steps."""
        return self.objective.prior_weight

    @property
    def loss_name(self) -> str:
        return self.objective.loss_name

    def settings(self) -> dict[str, Any]:
        return {**self.step_settings(), "objective": repr(self.objective)}

    def ask(self, state: State, rows: Rows) -> Question:
        noises = self.noises(state)
        return Question(self.draws(state.params, noises), noises)

    def tell(
        self, state: State, question: Question, log_prob: jax.Array, score: jax.Array, rows: Rows
    ) -> tuple[State, jax.Array]:
        def linearised(z: jax.Array) -> jax.Array:
            if jnp.shape(z) != question.points.shape:
                raise TypeError(
                    f"The objective {self.objective.short_name!r} asks for log p at points of the "
                    f"shape {jnp.shape(z)}; it is known at the draws alone, all "
                    f"{len(question.points)} of them in one call: {question.points.shape}."
                )
            return with_slope(log_prob, score, z)

        def loss_of(family: Family, params: Params, log_prob: LogProb) -> jax.Array:
            loss = self.objective.loss(family, params, question.noise, log_prob)
            if getattr(loss, "shape", None) != ():
                got = f"the shape {loss.shape}" if hasattr(loss, "shape") else type(loss).__name__
                raise TypeError(
                    f"loss() of the objective {self.objective.short_name!r} must return one "
                    f"number, a JAX scalar; got {got}."
                )
            return loss

        loss, gradient = jax.value_and_grad(lambda own: loss_of(self.family, own, linearised))(
            state.params
        )
        frame, within = self.family.frame(state.params), None
        if frame is not None and self._stays_within(state.params):
            within = frame.within()
        if frame is not None and within is not None:
            place = within.place
            loss, inside = jax.value_and_grad(
                lambda own: loss_of(
                    within.family, own, lambda draws: linearised(batched(place, draws))
                )
            )(within.params)
            frame = _Known(frame, within.gradient(inside))
        vanishes = self.objective.noise_vanishes
        return self.descend(state, loss, gradient, frame=frame, noise_vanishes=vanishes)

    def _stays_within(self, params: Params) -> bool:
        """Whether the gradient in the family's frame can be taken there.

        Not where it is changed on its way to the optimiser.
        """
        whole = self.max_gradient_norm is None and all(map(self.family.trains, params))
        return whole and self.objective.asks_any_family


@dataclass(frozen=True)
class _Known(Frame):
    """A frame in which the gradient is known: what it would be turned from is not computed."""

    frame: Frame
    inside: Params

    def gradient(self, gradient: Params) -> Params:
        return self.inside

    def change(self, step: Params) -> Params:
        return self.frame.change(step)
