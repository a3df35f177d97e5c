"""The second stage: a normal with any covariance, by matched scores."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from vi.algorithms import BatchAndMatch
from vi.approximation.record.log_density import target_of_row_blocks
from vi.approximation.record.parameters import mean_and_std, reported_params, with_params
from vi.auto.ground import Ground
from vi.auto.some_rows import NEAR, see, see_batches, towards_all_rows
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import FullRank
from vi.foundation.precision import precision
from vi.inference.bam import BaM, draws_a_step
from vi.optimizers import PolynomialAverage
from vi.targets.backends.evaluation import entries_of
from vi.targets.batches.some_rows import SomeRows

__all__ = ["match", "matching"]

AGAIN = 6
"""The part of the steps that are made again once q has been moved to where all rows have it."""

FAR = 1.0
"""Standard deviations by which q is moved and has to be matched anew: the curvature is another."""

EARLY, EARLY_IF_WIDE, WIDE = (20, 30), (5, 10, 30), 100
"""Steps after which it may be over, and from how many dimensions on earlier: there a step takes as
many gradients as dimensions, by which a normal is known."""

FEWEST, MORE = 32, 1.2
"""Draws of a last step by all rows: some more than dimensions, or scores leave directions out."""

MOST_WORK = 10**10
"""Gradients times entries of the data that it may take."""


def match(ground: Ground, mean: np.ndarray, std: np.ndarray) -> None:
    """Match the scores of a full-rank normal, from independent ones.

    A third or half of the steps are enough where the weights are all but equal by then, and five
    in many dimensions. Where it ends below its start, by the ELBO, the start comes back: far from a
    normal the scores' own divergence can lead away. Of a model in batches steps see some rows, and
    what all of them say comes after that.
    """
    before, (algorithm, n) = ground.fit, matching(ground)
    family, draws = algorithm.family, algorithm.n_draws
    with ground.stage("match", "a full-rank normal by matched scores") as write:
        start = ground.look()
        early = EARLY if ground.fit.layout.dim < WIDE else EARLY_IF_WIDE
        first, *later = sorted({each for each in (*early, n) if each <= n})
        try:
            done = ground.steps(family, ground.at(family, mean, std), algorithm, first)
            for begun, then in itertools.pairwise([first, *later]):
                ended = ground.stopped or ground.deadline.ended
                if done < begun or begun >= then or ended or ground.look().arrived:
                    break
                done += ground.more_steps(then - begun)
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
    """Match again by what all rows say; gradients of these, and steps by some rows.

    Where q is near, a step by all rows says the rest, the covariance too, if these are not too
    many: of a normal it is exact.
    """
    if not isinstance(ground.fit.data.some_rows, SomeRows):
        return 0, 0
    steps, family, dim = 0, algorithm.family, ground.fit.layout.dim
    rows = target_of_row_blocks(ground.fit)
    last = replace(algorithm, n_draws=max(FEWEST, math.ceil(MORE * dim)))
    by_all = last.n_draws * entries_of(rows) <= MOST_WORK

    def again(way: np.ndarray) -> None:
        nonlocal steps
        params, dtype = reported_params(ground.fit), ground.fit.dtype
        with precision(dtype):
            params = params | {"mu": params["mu"] + jnp.asarray(way, dtype)}
        if np.max(np.abs(way) / mean_and_std(ground.fit)[1]) > FAR:
            steps += ground.steps(family, params, algorithm, n)
        else:
            ground.approx.change(lambda fit: with_params(fit, params))

    spent = towards_all_rows(ground, again, FAR if by_all else NEAR)
    some = ground.fit.data.some_rows
    if by_all and isinstance(some, SomeRows) and ground.goes_on():
        see(ground, rows)
        spent += last.n_draws * ground.steps(family, reported_params(ground.fit), last, 1)
    return spent, steps


def matching(ground: Ground) -> tuple[BatchAndMatch, int]:
    """The steps that match scores, and how many."""
    draws = draws_a_step(ground.fit.layout.dim)
    n = min(BaM.default_n, ground.options.steps)
    return BatchAndMatch(FullRank(), draws, PolynomialAverage()), n
