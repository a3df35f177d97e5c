"""The last resort: Markov chains that start at draws of q and measure their steps by it."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.blackjax_kernels import Plan
from vi.approximation.results.chains import METHODS, agreement, run_chains
from vi.approximation.results.metric import inverse_mass_matrix
from vi.auto.ground import Ground
from vi.diagnostics.diagnosis import Diagnosis, Verdict, shifts
from vi.diagnostics.stages import Stage
from vi.families import Particles
from vi.foundation.precision import precision
from vi.foundation.seeds import STAGES, derived_seed

__all__ = ["LEAST_GRADIENTS", "repair"]

CHAINS, TUNE, DRAWS, MORE = 4, 300, 1000, 4
"""Chains, steps of tuning, draws a chain, and by how much longer a second attempt is."""

LEAST_GRADIENTS = 20 * CHAINS * (DRAWS + TUNE)
"""About what the chains take at the least: a trajectory on a normal has some ten to thirty."""

AGREED, ENOUGH = 1.01, 400
"""R-hat and effective draws from which on chains count as arrived (Vehtari et al. 2021)."""

NEARLY = 1.05
"""R-hat up to which their means are worth something."""


def repair(ground: Ground) -> None:
    """Run chains until they agree or the budget is spent; their draws become particles.

    Nothing changes where the chains agree less than q is worth: where R-hat is above 1.05.
    """
    fit = ground.fit
    target = target_of_all_rows(fit)
    seed = derived_seed(fit.seed, STAGES)
    draws, gradients = DRAWS, 0
    with ground.stage("chains") as write:
        matrix = inverse_mass_matrix(fit, None)
        while True:
            plan = Plan("nuts", draws, TUNE, METHODS["nuts"], None)
            points, stats, _ = run_chains(fit, target, plan, matrix, CHAINS, seed)
            # what tuning took is not told; it is taken to be like the rest
            each = float(np.mean(np.asarray(stats["n_steps"])))
            cost = int(each * CHAINS * (draws + TUNE))
            gradients += cost
            rhat, ess = agreement(points)
            agreed = float(np.max(rhat)) <= AGREED and float(np.min(ess)) >= ENOUGH
            if agreed or draws > DRAWS or gradients + MORE * cost > ground.left:
                break
            draws *= MORE
        found = _verdict(fit, points, np.asarray(stats["diverging"]), gradients)
        if found.verdict != "do not use":
            _hold(ground, points, found)
        write(Stage("", gradients=gradients, outcome=found.in_short))


def _verdict(fit: FitState, points: np.ndarray, diverging: np.ndarray, gradients: int) -> Diagnosis:
    """What chains ``(C, S, D)`` are worth, and how far q was from them."""
    rhat, ess = agreement(points)
    largest, least = float(np.max(rhat)), float(np.min(ess))
    verdict: Verdict = "do not use"
    if largest <= AGREED and least >= ENOUGH:
        verdict = "good"
    elif largest <= NEARLY:
        verdict = "means only"
    why = f"{len(points)} chains: R-hat {largest:.3f}, {least:,.0f} effective draws at least"
    if diverging.any():
        why += f", {diverging.sum()} steps diverged"
        verdict = "means only" if verdict == "good" and diverging.mean() > 0.01 else verdict
    advice = "" if verdict == "good" else "Longer chains: approx.sample_mcmc(); or pm.sample()."
    flat = points.reshape(-1, points.shape[-1]).astype(np.float64)
    mean, std = flat.mean(axis=0), flat.std(axis=0)
    labels = [fit.layout.label(i) for i in range(flat.shape[1])]
    columns = {"mean": mean, "sd": std, "rhat": rhat, "ess": ess}
    before = fit.diagnosis
    if before is not None and "mean" in before.table:
        # how far the normal was from them, in its own standard deviations
        old = [before.table[what].to_numpy() for what in ("mean", "sd")]
        moved = shifts(old[0], old[1], mean, std)
        columns |= dict(zip(("chains_mean", "chains_sd"), moved, strict=True))
    table = xr.Dataset(
        {name: ("unconstrained", values) for name, values in columns.items()},
        coords={"unconstrained": labels},
    )
    return Diagnosis(
        verdict,
        why,
        advice,
        np.nan,
        np.nan,
        np.nan,
        np.nan,
        table,
        np.nan,
        gradients,
        ("the density: chains have none",),
    )


def _hold(ground: Ground, points: np.ndarray, found: Diagnosis) -> None:
    """Let the draws of the chains be the approximation."""
    flat = points.reshape(-1, points.shape[-1])

    def held(fit: FitState) -> FitState:
        with precision(fit.dtype):
            start = {"particles": jnp.asarray(flat, fit.dtype)}
        return replace(
            fit,
            family=Particles(len(flat)),
            start=start,
            run=None,
            algorithm=None,
            resample=None,
            notes={"algorithm": "nuts", "loss": "that of the stages before the chains"},
        )

    ground.approx.change(held)
    ground.approx.keep(found, ground.fit)
