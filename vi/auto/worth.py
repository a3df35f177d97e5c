"""What the draws of chains are worth: a verdict, and how far q was from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.chains import agreement, tail_ess
from vi.diagnostics.array_stats import array_stats
from vi.diagnostics.diagnosis import Diagnosis, Verdict, by_coordinate, shifts

__all__ = ["AGREED", "DIVERGING", "ENOUGH", "NEARLY", "WORTH", "worth"]

AGREED, ENOUGH = 1.01, 400
"""R-hat and effective draws from which on chains count as arrived (Vehtari et al. 2021)."""

ADVICE = "Longer chains, approx.sample_mcmc() or pm.sample(); or another parametrisation."

NEARLY, SOME, MANY = 1.05, 100, 0.1
"""When means are worth something: R-hat and the share of diverging steps at most so much, effective
draws at least so many."""

NAMED = 3
"""Variables that a sentence names; of more, how many."""

WORTH: tuple[Verdict, ...] = ("do not use", "means only", "good")
"""The verdicts on chains, upwards."""

CHANGED, HARDLY = 0.2, 0.1
"""Fraction of the energy that the momenta of a step have to change (E-BFMI; Betancourt 2016), for
draws to be good and for means to be worth something. Where it is less, chains walk at random from
where the density is high to where it is low, and may agree on a neck of a funnel that they leave
out. Below 0.2 draws are suspect (Betancourt); half of that is what means may bear."""

DIVERGING = 0.005
"""The largest share of steps that diverge: what they leave out is about as much."""


def worth(
    fit: FitState,
    points: np.ndarray,
    draws: np.ndarray,
    statistics: Mapping[str, np.ndarray],
    gradients: int,
    image: str = "",
    moved: Sequence[str] = (),
) -> Diagnosis:
    """The verdict on chains.

    Parameters
    ----------
    fit : FitState
        The record whose q they began from.
    points : numpy.ndarray
        Their draws ``(C, S, D)``, told apart from their images.
    draws : numpy.ndarray
        The same ``(C * S, D)``, each at one of its images at random.
    statistics : mapping
        Of each step ``(C, S)``: its log density ``lp``, the ``energy``, whether it is
        ``diverging``.
    gradients : int
        What they took.
    image : str
        The name of the first image, if there are images.
    moved : sequence of str
        The variables that were not in the model's coordinates.
    """
    rhat, ess = agreement(points)
    ess = np.minimum(ess, tail_ess(points))
    largest, least = float(np.max(rhat)), float(np.min(ess))
    if image:
        # what is the same at all images has to agree as well
        of_log_p, _ = agreement(statistics["lp"][..., None])
        largest = max(largest, float(of_log_p[0]))
    diverging = float(np.mean(statistics["diverging"]))
    energy = array_stats().bfmi(statistics["energy"], chain_axis=0, draw_axis=1)
    changed = float(np.min(energy))
    verdict: Verdict = "do not use"
    if largest <= AGREED and least >= ENOUGH and diverging <= DIVERGING and changed >= CHANGED:
        verdict = "good"
    elif largest <= NEARLY and least >= SOME and diverging <= MANY and changed >= HARDLY:
        verdict = "means only"
    names = ", ".join(moved[:NAMED]) + f" and {len(moved) - NAMED} more" * (len(moved) > NAMED)
    where = f" in partly centred coordinates ({names})" if moved else ""
    why = f"{len(points)} chains{where}: R-hat {largest:.3f}, {least:,.0f} effective draws at least"
    steps = points.shape[0] * points.shape[1]
    if diverging:
        why += f", {round(diverging * steps):,} of {steps:,} steps diverged"
    if changed < CHANGED:
        why += f", steps hardly change the energy (E-BFMI {changed:.2f}: a funnel or a heavy tail)"
    if image:
        why += f"; of images with the same log p ({image}, say) each draw is at one at random"
    mean, std = draws.mean(axis=0, dtype=np.float64), draws.std(axis=0, dtype=np.float64)
    columns: dict[str, Any] = {"mean": mean, "sd": std, "rhat": rhat, "ess": ess}
    if fit.diagnosis is not None:
        # how far the normal was from them, in its own standard deviations
        q_mean, q_std = (fit.diagnosis.table[what].to_numpy() for what in ("mean", "sd"))
        columns["chains_mean"], columns["chains_sd"] = shifts(q_mean, q_std, mean, std)
    return Diagnosis(
        verdict=verdict,
        why=why,
        advice="" if verdict == "good" else ADVICE,
        elbo=np.nan,
        elbo_error=np.nan,
        pareto_k=np.nan,
        importance_ess=np.nan,
        table=by_coordinate(columns, fit.layout.labels),
        acceptance=np.nan,
        gradients=gradients,
        skipped=("the density: chains have none",),
        tails="" if fit.diagnosis is None else fit.diagnosis.tails,
    )
