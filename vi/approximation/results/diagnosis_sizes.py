"""How many draws, chains and other fits a diagnosis has: as asked for, or what can be afforded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.other_fits import MOST_GRADIENTS
from vi.diagnostics.nudge import LEAPS, STEPS
from vi.foundation.numbers import check_count, whole
from vi.targets.backends.evaluation import entries_of
from vi.targets.base import Target

__all__ = ["LEAST_CHAINS", "Sizes", "check_sizes", "sizes_of"]

DRAWS, CHAINS, LEAST_DRAWS, LEAST_CHAINS = 2000, 256, 100, 64
"""What there is by default, and the least that says anything: 64 chains have a noise of 0.12."""

STARTS = 7
"""Other fits: from the model's initial point, and a pair each around 0, around it and around q."""

GRADIENTS = STEPS * LEAPS + 1
"""Gradients of a chain."""

MOST_NUMBERS = 5 * 10**7
"""Points times dimensions, 400 MB, of which there are some copies."""

MOST_WORK = 10**11
"""Gradients times entries of the data: a minute or two of one core's multiplications."""


@dataclass(frozen=True)
class Sizes:
    """Draws, chains and other fits, whether fewer chains may do, and what is left out."""

    draws: int
    chains: int
    starts: int
    fewer_may_do: bool
    skipped: tuple[str, ...] = ()


def sizes_of(
    fit: FitState, target: Target, draws: int | None, chains: int | None, starts: int | None
) -> Sizes:
    """The sizes, of arguments that were checked."""
    fewer_may_do = chains is None
    skipped = [] if chains != 0 else ["short chains: chains=0"]
    if draws is None:
        draws = max(_affordable(target, DRAWS, 2), LEAST_DRAWS)  # and as many wider ones
    if chains is None:
        chains = _affordable(target, CHAINS, GRADIENTS)
        if chains < LEAST_CHAINS:
            chains = 0
            skipped.append(f"short chains: a large model; diagnose(chains={LEAST_CHAINS})")
    if starts is None and not chains:
        starts = 0
    elif fit.local:
        starts = 0
        skipped.append("other fits: not with local variables")
    elif starts is None:
        starts = STARTS if _affordable(target, 1, STARTS * MOST_GRADIENTS) else 0
        if not starts:
            skipped.append(f"other fits: a large model; diagnose(starts={STARTS})")
    return Sizes(int(draws), int(chains), int(starts), fewer_may_do, tuple(skipped))


def check_sizes(draws: Any, chains: Any, starts: Any) -> None:
    """Refuse numbers that say nothing."""
    if draws is not None:
        check_count("draws", draws)
        if draws < LEAST_DRAWS:
            raise ValueError(
                f"draws={draws}: must be at least {LEAST_DRAWS}, or nothing can be said of weights."
            )
    if chains is not None and not (_is_whole(chains) and (chains == 0 or chains >= LEAST_CHAINS)):
        raise ValueError(
            f"chains={chains!r}: must be a whole number of at least {LEAST_CHAINS} (fewer have too "
            "much noise to say anything), or 0 for none."
        )
    if chains is not None:
        whole("chains", chains, 0)
    if starts is not None:
        whole("starts", starts, 0)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _affordable(target: Target, wanted: int, gradients: int) -> int:
    """How many points, of so many gradients each, memory and a minute or two allow."""
    work = MOST_WORK // (gradients * entries_of(target))
    return min(wanted, MOST_NUMBERS // target.dim, work)
