"""Steps whose state is written as they are made, and which go on from what was written."""

from __future__ import annotations

from dataclasses import replace

from vi.approximation.checkpoints.asked import Checkpoint
from vi.approximation.checkpoints.keeper import Keeper, kept
from vi.approximation.record.fit_state import FitState
from vi.approximation.steps.run import Around, run_steps
from vi.diagnostics.status import Status

__all__ = ["run_kept"]


def run_kept(
    fit: FitState, n: int, restarts: int, around: Around, checkpoint: Checkpoint | None
) -> FitState:
    """Do ``n`` steps, or those of them that a checkpoint has not got; with a word on Ctrl-C.

    Parameters
    ----------
    fit, n, restarts, around
        As for :func:`vi.approximation.steps.run.run_steps`.
    checkpoint : Checkpoint or None
        Where the state is written, if it is.

    Returns
    -------
    FitState
        The record after the steps.
    """
    last: FitState | None = None

    def know(record: FitState) -> None:
        nonlocal last
        last = record
        around.commit(record)

    def steps(fit: FitState, n: int, keeper: Keeper | None = None) -> FitState:
        try:
            return run_steps(fit, n, restarts, replace(around, commit=know, keeper=keeper))
        except KeyboardInterrupt:
            if last is not None or fit.run is None:
                raise
            why = "Ctrl-C before the first step, while it was compiled; refine() goes on from here."
            return replace(fit, status=Status("interrupted", int(fit.run.step), why))

    if checkpoint is None or n == 0:
        return steps(fit, n)
    with kept(checkpoint, fit, n, restarts, around.callbacks) as keeper:
        if keeper.is_finished:
            return keeper.fit
        try:
            fit = steps(keeper.fit, keeper.left_of_all, keeper)
        except BaseException:
            if last is not None:
                keeper.end(last)
            raise
        keeper.end(fit)
        return fit
