"""What importance weights know of a posterior that chains have not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vi.diagnostics.diagnosis import Diagnosis, Verdict
from vi.diagnostics.wide_draws import SCALES

__all__ = ["beside_weights"]

FEWEST = 200
"""Effective draws among the wider ones below which they say nothing here. Radon with its 90
coordinates has 44, whose mean is half an sd off; one coordinate with a far hump has 400 to 700."""

PASSES, ERRORS = 0.1, 3.0
"""What passes, of means in sds and of log sds, beside so many standard errors of the weights, of
all draws or where a few have much of the weight: chains that agree know a mean to a twentieth."""

ADVICE = (
    "pm.sample() with more and longer chains, from many starts; a mixture of the places, "
    "vi.Mixture, where each is known."
)


def beside_weights(found: Diagnosis, before: Diagnosis) -> Diagnosis:
    """The verdict on chains, beside the weights of draws that were wider than q.

    A hump that has a hundredth of the mass, far off, is hardly ever visited: chains that never were
    there agree. If it lies within a hundred sds of q, draws that are so wide are in it, and in few
    dimensions their weights can be relied on. Where chains went farther they say nothing.

    Parameters
    ----------
    found : Diagnosis
        The verdict on the chains.
    before : Diagnosis
        That on the q from which they began.
    """
    known = before.wide_ess >= FEWEST and "wide_error_mean" in before.table
    if not known or found.verdict == "do not use" or "chains_mean" not in found.table:
        return found
    of_chains = (found.table[name].to_numpy() for name in ("chains_mean", "chains_sd"))
    mean_of_chains, sd_of_chains = of_chains
    with np.errstate(all="ignore"):
        farthest = np.abs(mean_of_chains) + np.exp(sd_of_chains)
    if np.max(farthest) > SCALES[-1]:
        return found  # the draws did not get there: it is they that miss mass
    wider, of_means, of_sds = (
        before.table[name].to_numpy() for name in ("wide_sd", "wide_error_mean", "wide_error_sd")
    )
    # where a few draws have much of the weight the error is theirs
    of_all = 1 / np.sqrt(before.wide_ess)
    apart = before.table["wide_mean"].to_numpy() - mean_of_chains
    with np.errstate(all="ignore"):
        means = np.nan_to_num(np.abs(apart) / np.exp(wider))
        limits = PASSES + ERRORS * np.maximum(of_all, of_means / np.exp(wider))
    means = np.where(means > limits, means, 0.0)
    sds = np.nan_to_num(wider - sd_of_chains)
    sds = np.where(sds > PASSES + ERRORS * np.maximum(of_all, of_sds), sds, 0.0)
    if found.tails:
        sds = np.zeros_like(sds)  # where there are no moments draws do not agree in them
    labels = before.table["unconstrained"].to_numpy()
    verdict: Verdict
    if means.max() > 0:
        worst = int(means.argmax())
        verdict, what = "do not use", f"put the mean of {labels[worst]} {means[worst]:.2g} sds away"
    elif sds.max() > 0:
        worst = int(sds.argmax())
        verdict = "means only"
        what = f"know an sd of {labels[worst]} that is {np.exp(sds[worst]):.2g} times as large"
    else:
        return found
    why = f"{found.why}; but weights of draws wider than q {what}: there is mass that chains missed"
    return replace(found, verdict=verdict, why=why, advice=ADVICE)
