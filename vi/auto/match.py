"""The second stage: a normal with any covariance, by matched scores."""

from __future__ import annotations

import numpy as np

from vi.algorithms import BatchAndMatch
from vi.auto.ground import Ground
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import FullRank
from vi.inference.bam import BaM, draws_a_step
from vi.optimizers import PolynomialAverage

__all__ = ["match", "matching"]


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
        outcome = f"a full-rank normal, ELBO {end.elbo:,.6g}"
        below = end.below(start)
        if below:
            ground.back_to(before)
            outcome += ", lower than that of its start, which stays"
        write(end.row(done * draws, outcome, kept=not below))


def matching(ground: Ground) -> tuple[BatchAndMatch, int]:
    """The steps that match scores, and how many."""
    draws = draws_a_step(ground.fit.layout.dim)
    n = min(BaM.default_n, ground.options.steps)
    return BatchAndMatch(FullRank(), draws, PolynomialAverage()), n
