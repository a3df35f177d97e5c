"""The stage that looks: is this the posterior, by weights, chains and fits from elsewhere."""

from __future__ import annotations

import numpy as np

from vi.approximation.record.log_density import target_of_row_blocks
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.results.diagnose import diagnose
from vi.approximation.results.diagnosis_sizes import DRAWS
from vi.auto.ground import Ground
from vi.auto.look import Look
from vi.diagnostics.diagnosis import Diagnosis, by_coordinate
from vi.diagnostics.evidence import ENOUGH, Evidence
from vi.diagnostics.importance import EQUAL, RELIABLE
from vi.diagnostics.modes import AHEAD, NOISE
from vi.diagnostics.stages import Stage
from vi.diagnostics.verdict import judged as verdict_on
from vi.foundation.seeds import FAR_OUT, generator_from
from vi.search.tails import look_far

__all__ = [
    "better_place",
    "can_be_weighed",
    "check",
    "improper",
    "is_near",
    "is_settled",
    "is_usable",
]


def check(ground: Ground) -> Diagnosis:
    """The verdict on the present record, which keeps it."""
    with ground.stage("check", "weights, short chains, fits from other starts") as write:
        fit = ground.fit
        found = diagnose(fit, random_seed=fit.seed)
        ground.approx.keep(found, fit)
        write(
            Stage(
                "",
                found.elbo,
                found.elbo_error,
                found.pareto_k,
                found.gradients,
                outcome=found.in_short,
            )
        )
    return found


def improper(ground: Ground) -> Diagnosis | None:
    """The verdict that there is no posterior; none where log p falls far from the present normals.

    Asked before all that is dear: no stage could come to an end of it.
    """
    fit = ground.fit
    mean, std = mean_and_std(fit)
    noise = generator_from(fit.seed, FAR_OUT).standard_normal(len(mean))
    some, away = fit.data.some_rows, mean + std * noise
    if some is not None and not look_far(some, mean, std, None, away).improper:
        return None
    # some rows may leave open what all of them decide
    tail = look_far(target_of_row_blocks(fit), mean, std, None, away)
    if not tail.improper:
        return None
    table = by_coordinate({"mean": mean, "sd": std}, fit.layout.labels)
    skipped = ("importance weights, short chains, other fits: the posterior is improper",)
    found = verdict_on(Evidence(table, improper=tail.names, skipped=skipped))
    with ground.stage("check", "whether log p falls far from there") as write:
        ground.approx.keep(found, fit)
        write(Stage("", outcome=found.in_short))
    return found


def is_settled(found: Diagnosis) -> bool:
    """Whether draws of q stand for the posterior.

    Not where they need their weights for it: of a tail that q hardly reaches, whether weights and
    chains agree changes with the seed.
    """
    return found.verdict == "good"


def is_usable(found: Diagnosis) -> bool:
    """Whether draws of q, weighed if need be, stand for the posterior."""
    return is_settled(found) or found.verdict == "usable with importance resampling"


def is_near(look: Look) -> bool:
    """Whether q is near enough to p for weights to do the rest, so that more steps gain nothing.

    The shape k of the largest weights is known to 0.15 only (see `EQUAL`): where half of the draws
    and more count it does not decide alone.
    """
    return look.reliable or look.share >= ENOUGH


def can_be_weighed(ground: Ground, found: Diagnosis) -> bool:
    """Whether draws may be weighted without being asked for, as two sets of them say.

    One set's k alone would turn on its largest weight. Not where rows are so many that the check
    itself could not afford the usual number of weights.
    """
    if not ground.fit.family.has_density or ground.fit.data.stream is not None:
        return False  # each set of draws of streamed rows would take a pass
    look = ground.look()
    if len(look.log_p) < DRAWS:
        return False
    if look.reliable or look.share < ENOUGH:
        return look.reliable
    # a diagnosis has as many draws, or fewer
    return found.pareto_k <= RELIABLE or found.importance_ess >= EQUAL * len(look.log_p)


def better_place(found: Diagnosis) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and standard deviations of another fit with a clearly higher ELBO, if there is one."""
    if found.modes is None:
        return None
    elbo, error = (found.modes[f"mode_elbo{kind}"].to_numpy() for kind in ("", "_error"))
    best = int(np.argmax(np.where(np.isfinite(elbo), elbo, -np.inf)))
    gap = elbo[best] - elbo[0]
    if best == 0 or not gap > AHEAD + NOISE * np.nan_to_num(np.hypot(error[best], error[0])):
        return None
    mean, std = (found.modes[f"mode_{what}"].to_numpy()[best] for what in ("mean", "sd"))
    return mean, std
