"""What a diagnosis can ask of streamed rows: so many passes as the fit's time allows."""

from __future__ import annotations

from dataclasses import replace

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.diagnosis_sizes import (
    CHAINS,
    DRAWS,
    GRADIENTS,
    LEAST_CHAINS,
    LEAST_DRAWS,
    MOST_NUMBERS,
    STARTS,
    Sizes,
)
from vi.approximation.results.drawn_fit import SLOPED
from vi.approximation.results.image_fits import FEW, MOST
from vi.approximation.results.other_fits import FIRST, FIXED, ITERATIONS
from vi.diagnostics.nudge import STEPS
from vi.targets.backends.streamed_target import Pace, StreamedTarget

__all__ = ["one_pass_in_words", "sizes_in_passes"]

SHARE, LEAST_SECONDS = 0.05, 10.0
"""What a diagnosis may take by itself: a twentieth of the fit's time, or what anybody waits for."""

SEARCHED = FIRST + ITERATIONS
"""Passes of another fit from another start."""

CHAINED = GRADIENTS + STEPS + 1
"""Passes of short chains: those that come first, and longer ones."""


def sizes_in_passes(
    fit: FitState,
    target: StreamedTarget,
    rows: str,
    draws: int | None,
    chains: int | None,
    starts: int | None,
) -> Sizes | None:
    """What is asked for, or what the time allows; None where that is no pass.

    Parameters
    ----------
    fit : FitState
        Whose steps have taken a time.
    target : StreamedTarget
        The log density, whose passes are timed.
    rows : {"auto", "all"}
        Whether one pass may take longer.
    draws, chains, starts : int, optional
        What was asked for; that is done, however long it takes.
    """
    pace, seconds = target.pace(), max(SHARE * fit.seconds, LEAST_SECONDS)
    free = rows == "auto" and not (chains or starts)  # who asks for chains asks for passes
    if draws is None:
        draws = max(min(DRAWS, MOST_NUMBERS // target.dim), LEAST_DRAWS)
        while free and draws >= 2 * LEAST_DRAWS and _one_pass(pace, draws) > seconds:
            draws //= 2
    if free and _one_pass(pace, draws) > seconds:
        return None
    left, skipped = seconds - _one_pass(pace, draws), list[str]()
    sizes = Sizes(int(draws), int(draws), 0, 0, chains is None, images=True)
    if chains is None:
        steps = CHAINED * pace.seconds(0, CHAINS)
        chains, left = (CHAINS, left - steps) if steps <= left else (0, left)
        if not chains:
            skipped.append(
                f"short chains: up to {CHAINED} passes over the rows, {_in_words(steps)} "
                f"(diagnose(chains={LEAST_CHAINS}))"
            )
    elif not chains:
        skipped.append("short chains: chains=0")
    if starts is None:
        steps = STARTS * SEARCHED * pace.seconds(0, FIXED)
        starts = STARTS if chains and steps <= left else 0
        if not starts:
            skipped.append(
                f"other fits, but for images of q: up to {STARTS * SEARCHED} passes over the rows, "
                f"{_in_words(steps)} (diagnose(starts={STARTS}))"
            )
    elif not starts:
        sizes = replace(sizes, images=False)
    return replace(sizes, chains=int(chains), starts=int(starts), skipped=tuple(skipped))


def one_pass_in_words(target: StreamedTarget) -> str:
    """What the check would take that is not done."""
    return _in_words(_one_pass(target.pace(), DRAWS))


def _one_pass(pace: Pace, draws: int) -> float:
    """Seconds for the draws, as many wider ones, images and the slope: all in one pass."""
    return pace.seconds(2 * draws + FEW * MOST, SLOPED)


def _in_words(seconds: float) -> str:
    """A time, roughly."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"about {seconds / length:.2g} {unit}"
    return f"about {max(seconds, 1.0):.2g} s"
