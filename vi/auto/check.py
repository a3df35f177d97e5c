"""The stage that looks: is this the posterior, by weights, chains and fits from elsewhere."""

from __future__ import annotations

import numpy as np

from vi.approximation.results.diagnose import diagnose
from vi.auto.ground import Ground
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.modes import AHEAD, NOISE, Found, rival
from vi.diagnostics.stages import Stage
from vi.diagnostics.verdict import SMALL

__all__ = ["better_place", "check", "is_elsewhere", "is_settled", "is_usable"]


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


def is_settled(found: Diagnosis) -> bool:
    """Whether draws of q stand for the posterior.

    Not where they need their weights for it: of a tail that q hardly reaches, whether weights and
    chains agree changes with the seed.
    """
    return found.verdict == "good"


def is_usable(found: Diagnosis) -> bool:
    """Whether draws of q, weighed if need be, stand for the posterior."""
    return is_settled(found) or found.verdict == "usable with importance resampling"


def is_elsewhere(found: Diagnosis) -> bool:
    """Whether another fit has some of the mass: chains from q would stay where q is."""
    if found.modes is None:
        return False
    modes = found.modes
    columns = (modes[f"mode_{what}"].to_numpy() for what in ("elbo", "elbo_error", "mean", "sd"))
    fits = [Found(str(i), *row) for i, row in enumerate(zip(*columns, strict=True))]
    return rival(fits, list(map(str, modes["unconstrained"].to_numpy())), SMALL) is not None


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
