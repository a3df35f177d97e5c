"""Stein variational gradient descent: particles, or a family's draws, along a Stein direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from vi.algorithms.base import ALGORITHMS, Question, Rows, State
from vi.algorithms.descent import Descent
from vi.families.family import Params
from vi.foundation.numbers import number
from vi.kernels import RBF, Kernel

__all__ = ["Stein"]


@ALGORITHMS.register
@dataclass(frozen=True)
class Stein(Descent):
    r"""Move draws along the Stein direction; see :class:`Descent` for the other parameters.

    With ``n`` points :math:`x_j` and scores :math:`s_j = \nabla \log p(x_j)`, the direction at
    :math:`x_i` is

    .. math::

        \phi_i = \frac1n \sum_j \bigl[ k(x_j, x_i)\, s_j + T\, \nabla_{x_j} k(x_j, x_i) \bigr],

    whose stationary distribution is :math:`p^{1/T}`. Particles step along it; the parameters of any
    other family step along :math:`\frac1n \sum_i (\partial x_i / \partial \lambda)^\top \phi_i`
    (amortised), with the terms ``j = i`` left out of :math:`\phi_i`: then its expectation vanishes
    where the family equals :math:`p`. The loss that is recorded is the squared kernelised Stein
    discrepancy between the points before the step and :math:`p^{1/T}` (the V-statistic with the
    step's own kernel): 0 where they agree. Both are computed in the coordinates in which the kernel
    measures, by default the points' own standard deviations: the numbers do not depend on the units
    of the data.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    temperature : float
        ``T``.

    References
    ----------
    Liu and Wang (2016). Stein variational gradient descent. NeurIPS, algorithm 1. Feng, Wang and
    Liu (2017). Learning to draw samples with amortized Stein variational gradient descent. UAI, eq.
    7. Liu, Lee and Jordan (2016). A kernelized Stein discrepancy for goodness-of-fit tests. ICML,
    eq. 9.
    """

    kernel: Kernel = field(default_factory=RBF)
    temperature: float = 1.0
    short_name = "stein"
    linear_in_log_p = True  # the direction; the loss beside it is not what is followed

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_kind("kernel", Kernel)
        temperature = number("Stein(temperature", self.temperature, above=0.0)
        object.__setattr__(self, "temperature", temperature)

    @property
    def loss_name(self) -> str:
        return "squared kernelised Stein discrepancy (V-statistic, the run's kernel)"

    def settings(self) -> dict[str, Any]:
        own = {"kernel": repr(self.kernel), "temperature": self.temperature}
        return self.step_settings() | own

    def ask(self, state: State, rows: Rows) -> Question:
        if not self.family.has_density:
            return Question(state.params["particles"], ())
        noises = self.noises(state)
        return Question(self.draws(state.params, noises), noises)

    def tell(
        self, state: State, question: Question, log_prob: jax.Array, score: jax.Array, rows: Rows
    ) -> tuple[State, jax.Array]:
        n = len(question.points)
        unit = self._unit(question.points)
        score = unit * score
        attraction, repulsion, trace, own = self.kernel.sums(question.points / unit, score)
        push = attraction + self.temperature * repulsion
        # A particle feels itself too: one alone then climbs to the mode. A draw feels the others
        # alone: its own term would bias the expected direction (`own` is the terms j = i).
        direction = (push - own) / (n - 1) if self.family.has_density else push / n
        tempered = score / self.temperature
        discrepancy = (
            jnp.sum(tempered * attraction) / self.temperature
            + 2.0 * jnp.sum(tempered * repulsion)
            + trace
        ) / n**2
        # The direction reads scores alone: a log density that is not finite would not be noticed.
        loss = discrepancy + 0.0 * jnp.sum(log_prob)
        return self.descend(state, loss, self._gradient(state.params, question, direction / unit))

    def _unit(self, points: jax.Array) -> jax.Array:
        """The lengths in which the kernel measures: the points' standard deviations, or one."""
        if not self.kernel.standardize:
            return jnp.ones_like(points[0])
        std = jnp.std(points, axis=0)
        return jnp.where(std > 0, std, 1.0)

    def _gradient(self, params: Params, question: Question, direction: jax.Array) -> Params:
        if not self.family.has_density:
            return {"particles": -direction}
        _, pull_back = jax.vjp(lambda own: self.draws(own, question.noise), params)
        gradient: Params = pull_back(-direction / len(direction))[0]
        return gradient
