"""The last resort: Markov chains that start at draws of q and measure their steps by it."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.blackjax_kernels import Plan
from vi.approximation.results.chains import agreement, run_chains, tail_ess
from vi.approximation.results.diagnosis_sizes import MOST_WORK
from vi.approximation.results.metric import inverse_mass_matrix, starting_points
from vi.auto.ground import Ground
from vi.diagnostics.diagnosis import Diagnosis, Verdict, by_coordinate, shifts
from vi.diagnostics.stages import Stage
from vi.families import Mixture, Particles
from vi.foundation.precision import precision
from vi.foundation.seeds import STAGES, derived_seed
from vi.targets.backends.evaluation import entries_of

__all__ = ["repair", "why_not"]

CHAINS, TUNE, DRAWS = 4, 300, 1000
"""Chains, steps of tuning, and draws a chain."""

ATTEMPTS = ((1, 0.8, 0.15), (4, 0.95, 0.5), (4, 0.95, 1.0))
"""How many times as many draws an attempt has, the acceptance rate that it is tuned to, and how
much it may take of the gradients that are left: where the chains of one do not agree, or diverge,
the next one's steps are shorter, measured by what it has seen, and begin where it ended. Where q's
covariance is wrong trajectories are long and lead nowhere, so that little is spent on the first."""

LEAST_GRADIENTS = 20 * CHAINS * (DRAWS + TUNE)
"""About what the chains take at the least: a trajectory on a normal has some ten to thirty."""

NO_TIME = "The time is over: max_seconds= leaves no chains."
"""Why there are no chains where they would not fit in."""

DEEPEST = 10
"""Doublings of a trajectory, Stan's number."""

AGREED, ENOUGH = 1.01, 400
"""R-hat and effective draws from which on chains count as arrived (Vehtari et al. 2021)."""

ADVICE = "Longer chains, approx.sample_mcmc() or pm.sample(); or another parametrisation."

NEARLY, SOME, MANY = 1.05, 100, 0.1
"""When means are worth something: R-hat and the share of diverging steps at most so much, effective
draws at least so many."""

WORTH: tuple[Verdict, ...] = ("do not use", "means only", "good")
"""The verdicts on chains, upwards."""

DIVERGING = 0.005
"""The largest share of steps that diverge: what they leave out is about as much."""


def repair(ground: Ground) -> None:
    """Run chains until they agree or the budget is spent; their draws become particles.

    Nothing changes where they are worth no more than q's draws, or cannot start from these.
    """
    fit = ground.fit
    target = target_of_all_rows(fit)
    seed, gradients, each = derived_seed(fit.seed, STAGES), 0, 0.0
    tried: list[tuple[np.ndarray, Diagnosis]] = []
    with ground.stage("chains", "NUTS from draws of q") as write:
        try:
            matrix = inverse_mass_matrix(fit, None)
            starts = starting_points(fit, CHAINS, seed)
        except ValueError as error:
            write(Stage("", outcome=f"left out: {error}", kept=False))
            return
        for number, (times, accept, share) in enumerate(ATTEMPTS):
            left, steps = max(ground.affordable - gradients, 1), CHAINS * (times * DRAWS + TUNE)
            if each * steps > left:
                ground.deadline.passed()
                break
            # trajectories of 2^depth steps: all of them together stay within the budget
            depth = int(np.log2(max(share * left / steps, 1.0)))
            plan = Plan("nuts", times * DRAWS, TUNE, accept, None, min(max(depth, 3), DEEPEST))
            points, stats, _ = run_chains(target, plan, matrix, starts, derived_seed(seed, number))
            # what tuning took is not told; it is taken to be like the rest
            each = float(np.mean(np.asarray(stats["n_steps"])))
            gradients += int(each * steps)
            found = _verdict(fit, points, np.asarray(stats["diverging"]), gradients)
            tried.append((points, found))
            if found.verdict == "good":
                break
            matrix, starts = _learned(matrix, points, found), points[:, -1]
        points, found = max(tried, key=lambda attempt: _rank(attempt[1]))
        held = found.verdict != "do not use"
        if held:
            _hold(ground, points, found)
        write(Stage("", gradients=gradients, outcome=found.in_short, kept=held))


def why_not(ground: Ground, found: Diagnosis, repair: str | None) -> str:
    """Why there are no chains; empty where there may be some."""
    target = target_of_all_rows(ground.fit)
    reasons = {
        "Chains were not allowed (repair=None).": repair is None,
        "Chains from q were left out: they would stay where q is.": bool(found.rival),
        "Chains were left out: they would go on for ever.": bool(found.improper),
        "Chains from q were left out: they would stay at the modes where they begin.": isinstance(
            ground.fit.family, Mixture
        ),
        "Chains need backend='jax'.": not target.traceable,
        "The extra mcmc (pip install 'pymc-vi[mcmc]') would go on with chains.": (
            importlib.util.find_spec("blackjax") is None
        ),
        f"Chains take {LEAST_GRADIENTS:,} gradients and more; max_evaluations= leaves "
        f"{max(ground.left, 0):,}.": ground.left < LEAST_GRADIENTS,
        NO_TIME: ground.affordable < min(LEAST_GRADIENTS, ground.left),
        "The data are too many for chains to be tried without being asked for.": (
            LEAST_GRADIENTS * entries_of(target) > MOST_WORK
        ),
    }
    why = next((reason for reason, holds in reasons.items() if holds), "")
    ground.deadline.ended |= why == NO_TIME
    return why


def _rank(found: Diagnosis) -> tuple[int, float]:
    """How much an attempt is worth, beside others: its verdict, then its effective draws."""
    return WORTH.index(found.verdict), float(found.table["ess"].min())


def _learned(matrix: np.ndarray, points: np.ndarray, found: Diagnosis) -> np.ndarray:
    """The covariance of chains ``(C, S, D)`` and the one before, by how much the chains know.

    A covariance in D dimensions takes about D effective draws to be seen.
    """
    flat = points.reshape(-1, points.shape[-1]).astype(np.float64)
    seen = flat.var(axis=0) if matrix.ndim == 1 else np.cov(flat.T).reshape(matrix.shape)
    known = float(np.nan_to_num(found.table["ess"].to_numpy()).mean())
    share = known / (known + flat.shape[1])
    learned: np.ndarray = share * seen + (1 - share) * matrix
    return learned


def _verdict(fit: FitState, points: np.ndarray, diverging: np.ndarray, gradients: int) -> Diagnosis:
    """What chains ``(C, S, D)`` are worth, and how far q was from them."""
    rhat, ess = agreement(points)
    ess = np.minimum(ess, tail_ess(points))
    largest, least = float(np.max(rhat)), float(np.min(ess))
    verdict: Verdict = "do not use"
    if largest <= AGREED and least >= ENOUGH and diverging.mean() <= DIVERGING:
        verdict = "good"
    elif largest <= NEARLY and least >= SOME and diverging.mean() <= MANY:
        verdict = "means only"
    why = f"{len(points)} chains: R-hat {largest:.3f}, {least:,.0f} effective draws at least"
    if diverging.any():
        why += f", {diverging.sum():,} of {diverging.size:,} steps diverged"
    flat = points.reshape(-1, points.shape[-1]).astype(np.float64)
    mean, std = flat.mean(axis=0), flat.std(axis=0)
    columns = {"mean": mean, "sd": std, "rhat": rhat, "ess": ess}
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
            notes={
                "algorithm": "nuts",
                "loss": "that of the stages before the chains",
                "rhat_worst": float(found.table["rhat"].max()),
                "ess_least": float(found.table["ess"].min()),
            },
        )

    ground.approx.change(held)
    ground.approx.keep(found, ground.fit)
