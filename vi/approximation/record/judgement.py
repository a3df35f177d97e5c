"""Which verdict holds of which record, and the status that says so."""

from __future__ import annotations

from dataclasses import replace

from vi.approximation.record.fit_state import FitState
from vi.diagnostics.status import Status

__all__ = ["judged_as_before", "told_status"]


def judged_as_before(fit: FitState, before: FitState) -> FitState:
    """The record, without its verdict if its parameters are not those of the one before."""
    same = fit.run is before.run and fit.start is before.start
    return fit if same or fit.diagnosis is None else replace(fit, diagnosis=None)


def told_status(fit: FitState) -> Status:
    """How the last run ended, and the verdict where there is one."""
    if fit.diagnosis is None:
        return fit.status
    message = f"{fit.status.message.rstrip(' .')}; verdict: {fit.diagnosis.in_short}"
    return replace(fit.status, message=message)
