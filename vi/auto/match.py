"""The second stage: a normal with any covariance, by matched scores."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from vi.algorithms import BatchAndMatch
from vi.approximation.record.parameters import reported_params
from vi.auto.ground import Ground
from vi.auto.some_rows import see_batches, towards_all_rows
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import FullRank
from vi.foundation.precision import precision
from vi.inference.bam import BaM, draws_a_step
from vi.optimizers import PolynomialAverage

__all__ = ["match", "matching"]

AGAIN = 6
"""The part of the steps that are made again once q has been moved to where all rows have it."""


def match(ground: Ground, mean: np.ndarray, std: np.ndarray) -> None:
    """Match the scores of a full-rank normal, from independent ones.

    Half of the steps are enough where the weights are all but equal by then. Where it ends below
    its start, by the ELBO, the start comes back: far from a normal the scores' own divergence can
    lead away.
    """
    before, (algorithm, n) = ground.fit, matching(ground)
    family, draws = algorithm.family, algorithm.n_draws
    with ground.stage("match", "a full-rank normal by matched scores") as write:
        start = ground.look()
        half = (n + 1) // 2
        try:
            done = ground.steps(family, ground.at(family, mean, std), algorithm, half)
            ended = ground.stopped or ground.deadline.ended
            if done == half < n and not (ended or ground.look().arrived):
                done += ground.more_steps(n - half)
        except DivergedError as error:
            ground.back_to(before)
            write(Stage("", gradients=n * draws, outcome=f"left out: {error}", kept=False))
            return
        end = ground.look()
        below, spent = end.below(start), 0
        if below:
            ground.back_to(before)
        elif ground.fit.data.some_rows is not None:
            try:
                spent, more = _towards_all_rows(ground, algorithm, max(n // AGAIN, 1))
                done += more
            except DivergedError as error:
                ground.back_to(before)
                write(Stage("", gradients=done * draws, outcome=f"left out: {error}", kept=False))
                return
            see_batches(ground)
            end = ground.look()
        outcome = f"a full-rank normal, ELBO {end.elbo:,.6g}"
        if below:
            outcome += ", lower than that of its start, which stays"
        write(end.row(done * draws + spent, outcome, kept=not below))


def _towards_all_rows(ground: Ground, algorithm: BatchAndMatch, n: int) -> tuple[int, int]:
    """Match again by the slope of all rows; gradients of these, and steps."""
    steps, family = 0, algorithm.family

    def again(way: np.ndarray) -> None:
        nonlocal steps
        params, dtype = reported_params(ground.fit), ground.fit.dtype
        with precision(dtype):
            params = params | {"mu": params["mu"] + jnp.asarray(way, dtype)}
        steps += ground.steps(family, params, algorithm, n)

    spent = towards_all_rows(ground, again)
    return spent, steps


def matching(ground: Ground) -> tuple[BatchAndMatch, int]:
    """The steps that match scores, and how many."""
    draws = draws_a_step(ground.fit.layout.dim)
    n = min(BaM.default_n, ground.options.steps)
    return BatchAndMatch(FullRank(), draws, PolynomialAverage()), n
