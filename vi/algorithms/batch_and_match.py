"""Batch and match: a normal whose scores agree with the model's at the draws of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from vi.algorithms.base import ALGORITHMS, Algorithm, Question, Rows, State
from vi.families.family import Params
from vi.families.full_rank import FullRank
from vi.foundation.batching import batched
from vi.foundation.numbers import whole
from vi.optimizers.averaging import Averaging

__all__ = ["BatchAndMatch"]

SHRUNK = 0.5
"""What q's standard deviations are multiplied by where log p is not finite at most draws."""


@ALGORITHMS.register
@dataclass(frozen=True)
class BatchAndMatch(Algorithm):
    r"""Match the scores of a normal with those of log p, in closed form, a batch of draws a step.

    With ``K`` draws :math:`z_k` of :math:`q_t = N(\mu_t, \Sigma_t)`, their scores
    :math:`g_k = \nabla \log p(z_k)`, and means and covariances :math:`\bar z, C` and
    :math:`\bar g, \Gamma` of both, the next normal minimises the squared distance between the
    scores of q and of p in the metric of q, and stays near the last one by the weight
    :math:`1 / \lambda_t`, :math:`\lambda_t = K D / (t + 1)`:

    .. math::

        U &= \lambda \Gamma + \tfrac{\lambda}{1 + \lambda} \bar g \bar g^\top, \qquad
        V = \Sigma_t + \lambda C
            + \tfrac{\lambda}{1 + \lambda} (\mu_t - \bar z) (\mu_t - \bar z)^\top, \\
        \Sigma_{t+1} U \Sigma_{t+1} + \Sigma_{t+1} &= V, \qquad
        \mu_{t+1} = \tfrac{1}{1 + \lambda} \mu_t
            + \tfrac{\lambda}{1 + \lambda} (\Sigma_{t+1} \bar g + \bar z).

    There is no step size, and units do not matter: an affine map of the space maps every step. The
    quadratic equation is solved in the coordinates in which V is the identity, by factors: no
    covariance is inverted. Draws at which log p or its score is not finite are left out; where that
    are more than half, q keeps its mean and becomes narrower.

    Parameters
    ----------
    family : FullRank
        A full-rank normal.
    n_draws : int
        Draws ``K`` a step; at least as many as dimensions where these are in the hundreds.
    averaging : Averaging or None
        How iterates are averaged; ``None`` reports the iterate itself.

    Notes
    -----
    Memory and time of a step, beside log p: :math:`O(D^2 (D + K))`.

    References
    ----------
    Cai, Modi, Pillaud-Vivien, Margossian, Gower, Blei and Saul (2024). Batch and match: black-box
    variational inference with a score-based divergence. ICML, algorithm 1.
    """

    family: FullRank
    n_draws: int = 32
    averaging: Averaging | None = None
    short_name = "batch_and_match"
    few_steps = True
    has_elbo = True
    entropy_weight = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.family, FullRank) or self.family != FullRank():
            raise TypeError(
                f"BatchAndMatch(family={self.family!r}): scores are matched in closed form for a "
                "full-rank normal alone, vi.families.FullRank()."
            )
        if not isinstance(self.averaging, Averaging | None):
            raise TypeError(
                f"BatchAndMatch(averaging={self.averaging!r}): give an instance of Averaging."
            )
        draws = whole("BatchAndMatch(n_draws", self.n_draws, 2)
        object.__setattr__(self, "n_draws", draws)

    @property
    def loss_name(self) -> str:
        return "minus the ELBO (Monte Carlo, the draws of the step)"

    def settings(self) -> dict[str, Any]:
        return {"draws_per_step": self.n_draws, "averaging": repr(self.averaging)}

    def init(self, params: Params, key: jax.Array) -> State:
        average = () if self.averaging is None else self.averaging.init(params)
        return State(params, (), average, key, jnp.zeros((), jnp.uint32))

    def report(self, state: State) -> Params:
        return state.params if self.averaging is None else self.averaging.value(state.average)

    def ask(self, state: State, rows: Rows) -> Question:
        counters = state.step * jnp.uint32(self.n_draws) + jnp.arange(self.n_draws, dtype="uint32")
        keys = batched(lambda counter: jax.random.fold_in(state.key, counter), counters)
        noise = batched(lambda key: self.family.noise(key, state.params), keys)
        return Question(batched(lambda e: self.family.draw(state.params, e), noise), noise)

    def tell(
        self, state: State, question: Question, log_prob: jax.Array, score: jax.Array, rows: Rows
    ) -> tuple[State, jax.Array]:
        mean, factor = state.params["mu"], self.family.scale_tril(state.params)
        finite = jnp.isfinite(log_prob) & jnp.all(jnp.isfinite(score), axis=-1)
        weights = finite / jnp.maximum(jnp.sum(finite), 1).astype(score.dtype)
        points = jnp.where(finite[:, None], question.points, mean)
        score = jnp.where(finite[:, None], score, 0)
        rate = score.size / (state.step + 1).astype(score.dtype)
        matched = _matched(mean, factor, points, score, weights, rate)
        few = jnp.sum(finite) * 2 < self.n_draws
        new_mean = jnp.where(few, mean, matched[0])
        new_factor = jnp.where(few, SHRUNK * factor, matched[1])
        params = self.family.at(new_mean, new_factor)
        average = state.average
        if self.averaging is not None:
            average = self.averaging.update(average, params)
        new = State(params, (), average, state.key, state.step + 1)
        log_q = batched(lambda z: self.family.log_prob(state.params, z), question.points)
        loss = jnp.sum(weights * jnp.where(finite, log_q - log_prob, 0))
        right = jnp.any(finite)
        for part in (new_mean, new_factor):
            right &= jnp.all(jnp.isfinite(part))
        return new, jnp.where(right, loss, jnp.nan)


def _matched(
    mean: jax.Array,
    factor: jax.Array,
    points: jax.Array,
    score: jax.Array,
    weights: jax.Array,
    rate: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The normal whose scores agree best: its mean ``(D,)`` and Cholesky factor ``(D, D)``."""
    ratio = rate / (1 + rate)
    point_mean, score_mean = weights @ points, weights @ score
    each = jnp.sqrt(rate * weights)[:, None]
    moved, pulled = (points - point_mean) * each, (score - score_mean) * each
    v_rows = [factor.T, moved, jnp.sqrt(ratio) * (mean - point_mean)[None]]
    unit = jnp.linalg.qr(jnp.concatenate(v_rows), mode="r").T  # V = unit unit'
    u_rows = jnp.concatenate([pulled, jnp.sqrt(ratio) * score_mean[None]]) @ unit
    # U in the coordinates of V: where q is near p its eigenvalues are about equal, and the products
    # lose nothing; singular values of u_rows take longer
    values, turn = jnp.linalg.eigh(u_rows.T @ u_rows)
    smaller = jnp.sqrt(2 / (1 + jnp.sqrt(1 + 4 * jnp.maximum(values, 0))))
    rows = smaller[:, None] * (turn.T @ unit.T)
    upper = jnp.linalg.qr(rows, mode="r")
    new_factor = jnp.tril((upper * jnp.sign(jnp.diag(upper))[:, None]).T)
    new_mean = mean + ratio * (new_factor @ (new_factor.T @ score_mean) + point_mean - mean)
    return new_mean, new_factor
