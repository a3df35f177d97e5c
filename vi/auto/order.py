"""The order of the stages, and what makes each of them begin."""

from __future__ import annotations

from vi.approximation.record.parameters import mean_and_std
from vi.auto.check import better_place, check, improper, is_near, is_settled
from vi.auto.climb import LARGEST_FULL, climb
from vi.auto.ground import Ground
from vi.auto.integrated import integrate
from vi.auto.match import match
from vi.auto.mixture import mixture
from vi.auto.once import Once
from vi.auto.search import search
from vi.auto.some_rows import see_batches, see_some_rows
from vi.auto.structured import structured
from vi.diagnostics.diagnosis import Diagnosis

__all__ = ["in_stages", "of_a_stream"]

PLACES = 3
"""Places from which scores are matched: the start's, and better ones that a check has found."""


def in_stages(ground: Ground, once: Once) -> Diagnosis | None:
    """The stages of a model in memory; the last verdict, none where the user has ended them.

    Of a model in batches the first stages see some rows in the place of all, and steps batches.

    Parameters
    ----------
    ground : Ground
        The fit.
    once : callable
        Makes a stage, or holds what it has come to before.
    """
    full = ground.fit.layout.dim <= LARGEST_FULL
    batches = see_some_rows(ground)
    once(search, alone=not full)
    if ground.goes_on() and (found := improper(ground)) is not None:
        return found
    found = None
    if not batches and ground.goes_on() and once(structured):
        found = None if ground.stopped else once(check)
        if found is not None and ground.goes_on():
            # also where it is settled: the tail of a scale that may be 0 is a funnel, in which
            # neither draws of q nor those wider along straight lines are
            found = once(integrate, found)
        if found is None or not full or is_settled(found) or not ground.goes_on():
            return found
        # a full covariance has what the structure leaves out; the higher ELBO stays
    found = _at_places(ground, once, full, found)
    if full and found is not None and not ground.stopped and not batches:
        found = once(mixture, found)
    return found


def _at_places(ground: Ground, once: Once, full: bool, found: Diagnosis | None) -> Diagnosis | None:
    """Match, climb and check from where the fit is, and from better places that a check finds."""
    place = mean_and_std(ground.fit)
    if found is not None:
        place = better_place(found) or place
    for _ in range(PLACES):
        if full and ground.goes_on():
            before = ground.fit.start
            see_some_rows(ground)
            once(match, *place)
            see_batches(ground)
            if found is not None and ground.fit.start is before:
                # nothing came of the better place; on the way the verdict was dropped
                ground.approx.keep(found, ground.fit)
                break
        enough = (full and is_near(ground.look())) or ground.stopped
        if not enough and ground.goes_on():
            once(climb)
        if ground.stopped:
            return None
        if ground.deadline.passed():
            return ground.fit.diagnosis  # that of the first place, where the second is no better
        found = once(check)
        better = better_place(found)
        if not full or better is None or not ground.goes_on():
            break
        place = better
    return found


def of_a_stream(ground: Ground, once: Once) -> Diagnosis | None:
    """Steps on batches alone; the verdict afterwards is by all rows, where time allows."""
    once(climb)
    if ground.stopped or ground.deadline.passed():
        return None
    return once(check)
