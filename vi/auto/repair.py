"""The last resort: Markov chains that start at draws of q and measure their steps by it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.diagnosis_sizes import MOST_WORK
from vi.approximation.results.metric import LARGEST_DENSE, inverse_mass_matrix, starting_points
from vi.approximation.results.partly_centred import PartlyCentred
from vi.auto.attempt import CHAINS, LEG, LONGEST, Attempt
from vi.auto.beside_weights import beside_weights
from vi.auto.centring import model_coordinates
from vi.auto.ground import Ground
from vi.auto.mixture import places
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.stages import Stage
from vi.families import Mixture, Particles
from vi.foundation.precision import precision
from vi.foundation.seeds import STAGES, derived_seed, generator_from
from vi.targets.backends.evaluation import entries_of

__all__ = ["repair", "why_not"]

FIRST, TRIAL = 0.15, 0.25
"""What the first attempt may take of the gradients that are left, and each of the next two."""

BOLD, CAREFUL, MORE_CAREFUL = 0.8, 0.95, 0.99
"""The acceptance rates of the first attempt and of those after it: where steps diverged, fewer of
shorter ones do."""

ROUND, TUNING = 8, 2
"""Legs of draws between two looks, and those that tune the lengths of steps."""

LEAST_GRADIENTS = 20 * CHAINS * (ROUND + TUNING) * LEG
"""About what the chains take at the least: a trajectory on a normal has some ten to thirty."""

STUCK, HOPELESS = 3.0, 1.0
"""How far from each other chains may be, in their own sds: from the first on those that begin in
several modes stay where they are; from the second on more of the same draws are not made."""

BELOW = 7.0
"""Nats by which the ELBO of another place may be lower for a chain to begin there: one in a
thousand of the mass."""

NO_TIME = "The time is over: max_seconds= leaves no chains."
"""Why there are no chains where they would not fit in."""


def repair(ground: Ground, found: Diagnosis) -> None:
    """Run chains until they agree or the budget is spent; their draws become particles.

    Nothing changes where they are worth no more than q's draws, or cannot start from these.

    Parameters
    ----------
    ground : Ground
        The fit.
    found : Diagnosis
        The verdict on q, which knows of other places: some of the chains begin there.
    """
    with ground.stage("chains", "NUTS from draws of q") as write:
        try:
            matrix = inverse_mass_matrix(ground.fit, None)
            starts = _starts(ground, found)
        except ValueError as error:
            write(Stage("", outcome=f"left out: {error}", kept=False))
            return
        attempts = _attempts(ground, found, matrix, starts)
        best = attempts.best
        held, told = best.is_better_than_q, best.found
        if not best.has_images:
            told = beside_weights(told, found)
        if held:
            _hold(ground, best, told)
        gradients = attempts.most - attempts.left
        write(Stage("", gradients=gradients, outcome=told.in_short, kept=held))


def why_not(ground: Ground, found: Diagnosis, repair: str | None) -> str:
    """Why there are no chains; empty where there may be some."""
    target = target_of_all_rows(ground.fit)
    reasons = {
        "Chains were not allowed (repair=None).": repair is None,
        "Chains were left out: they would go on for ever.": bool(found.improper),
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


@dataclass
class _Attempts:
    """All attempts, and what they leave of the budget."""

    ground: Ground
    several: bool
    most: int
    tried: list[Attempt] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Gradients that are left."""
        return self.most - sum(attempt.gradients for attempt in self.tried)

    @property
    def over(self) -> bool:
        """Whether one of them has arrived, or nothing is left."""
        good = any(attempt.is_good for attempt in self.tried)
        return good or self.left <= 0 or self.ground.deadline.passed()

    @property
    def best(self) -> Attempt:
        """The one that is worth most."""
        return max(self.tried, key=lambda attempt: attempt.rank)

    def begun(
        self,
        matrix: np.ndarray,
        starts: np.ndarray,
        accept: float,
        coordinates: PartlyCentred | None,
    ) -> Attempt:
        """Another one, whose steps are tuned."""
        fit = self.ground.fit
        seed = derived_seed(derived_seed(fit.seed, STAGES), len(self.tried))
        more: dict[str, Any] = {"coordinates": coordinates}
        if self.ground.legs is not None:
            more["once"] = self.ground.legs.once
        attempt = Attempt(fit, matrix, starts, seed, accept, self.several, **more)
        self.tried.append(attempt)
        attempt.tune(TUNING)
        return attempt


def _attempts(
    ground: Ground, found: Diagnosis, matrix: np.ndarray, starts: np.ndarray
) -> _Attempts:
    """Chains by q's matrix; where they do not do, by what they have seen, and on with the best."""
    several = bool(found.rival) or isinstance(ground.fit.family, Mixture)
    attempts = _Attempts(ground, several, ground.affordable)
    first = attempts.begun(matrix, starts, BOLD, model_coordinates(ground.fit))
    first.recentre(TUNING)
    first.go_on(ROUND, FIRST * attempts.most)
    if attempts.several and first.apart > STUCK:
        return attempts
    if not attempts.over:
        first.go_on(first.legs_to_go(attempts.left), first.gradients + attempts.left)
    _learn(attempts, first)
    if not attempts.over and first.moved and not any(one.is_on_its_way for one in attempts.tried):
        own = attempts.begun(matrix, first.chains.at, CAREFUL, model_coordinates(ground.fit))
        own.go_on(ROUND, TRIAL * attempts.most)
    best = attempts.best
    if attempts.over or best.apart > HOPELESS:
        return attempts
    if best.diverges and best.accept < MORE_CAREFUL:
        best = attempts.begun(
            best.learned(best.kind), best.chains.at, MORE_CAREFUL, best.coordinates
        )
        best.go_on(ROUND, best.gradients + attempts.left)
    while not attempts.over and best.of_a_leg <= attempts.left and best.made < LONGEST:
        best.go_on(ROUND, best.gradients + attempts.left)
    return attempts


def _learn(attempts: _Attempts, first: Attempt) -> None:
    """Chains whose steps are measured by what those before have seen.

    A covariance that is wrong, as that of a funnel is everywhere but in one place, misleads more
    than no correlations at all: so the variances alone are tried too, where steps diverge first.
    """
    kinds = (
        ["dense", "diagonal"] if attempts.ground.fit.layout.dim <= LARGEST_DENSE else ["diagonal"]
    )
    last = first
    for kind in reversed(kinds) if first.diverges else kinds:
        if attempts.over or (last is not first and last.is_on_its_way):
            return
        last = attempts.begun(first.learned(kind), first.chains.at, CAREFUL, first.coordinates)
        last.measure_by(last.learned(kind))
        last.tune(TUNING)
        last.go_on(ROUND, TRIAL * attempts.most)


def _starts(ground: Ground, found: Diagnosis) -> np.ndarray:
    """Draws of q, and some of them, in turn, of the other places that have some of the mass.

    Raises
    ------
    ValueError
        If log p is finite at too few draws of q.
    """
    seed, known = ground.fit.seed, places(found, [])
    moved = starting_points(ground.fit, CHAINS, derived_seed(seed, STAGES)).copy()
    highest = np.nanmax([found.elbo, *(place.elbo for place in known)])
    others = [place for place in known if place.elbo > highest - BELOW]
    target, rng = target_of_all_rows(ground.fit), generator_from(seed, STAGES)
    for number, place in enumerate(others[: CHAINS // 2]):
        points = place.mean + place.std * rng.standard_normal((LEG, len(place.mean)))
        points = points.astype(moved.dtype)
        finite = np.flatnonzero(np.isfinite(target.log_prob(points)))
        if len(finite):
            moved[2 * number + 1] = points[finite[0]]
    return moved


def _hold(ground: Ground, best: Attempt, found: Diagnosis) -> None:
    """Let the draws of the chains be the approximation, with a verdict on them."""
    flat = best.draws

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
