"""Advance an approximation by some steps: the one place where the loop meets the live object."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from vi.approximation.steps.divergence import _name_culprits
from vi.approximation.steps.restarts import other_starts, record_of
from vi.diagnostics.agreement import describe
from vi.diagnostics.status import DivergedError, Status
from vi.foundation.numbers import check_steps
from vi.training.history import History
from vi.training.loop import Callback, train
from vi.training.one import OneRun
from vi.training.progress import ProgressBar
from vi.training.run import Run
from vi.training.several import SeveralRuns
from vi.training.shared import SharedRun
from vi.training.supply import supply_for

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["advance", "run_of"]

logger = logging.getLogger("vi")


def advance(
    approx: Approximation,
    n: int,
    callbacks: tuple[Callback, ...],
    *,
    progressbar: bool,
    restarts: int = 1,
) -> None:
    """Do ``n`` steps with the approximation's algorithm and state; with ``restarts``, of several
    runs at once.

    Raises
    ------
    DivergedError
        If a loss or a parameter stops being finite; the state before that step is kept.
    """
    check_steps(n)
    algorithm = approx._algorithm
    if algorithm is None or approx._state is None:
        raise TypeError("The approximation has no algorithm yet: call fit() first.")
    approx.check_idle()
    if approx._missing is not None:
        raise TypeError(approx._missing)
    done = int(approx._state.step)
    if n == 0:
        if done == 0:
            approx._status = Status("initialised", 0, "no step was done yet.")
        return
    target, devices = approx.target(training=True), approx._devices
    if devices is not None:
        devices.check_same(
            "seed, start, state or number of steps", (approx._state, approx._seed, int(n))
        )
    run = run_of(approx, approx._history if approx._score else None, restarts)

    def commit() -> None:
        approx._state = run.state
        if run.history is not None:
            approx._history = run.history
        approx._status = Status("running", run.step, "a run is going on.")

    label = f"{approx.family.short_name}:"
    with ProgressBar(int(n), label, progressbar and run.leads) as progress:
        try:
            approx._running = True
            approx._status = Status("running", done, "a run is going on.")
            status = train(
                run,
                int(n),
                callbacks=callbacks,
                commit=commit,
                publish=approx.publish,
                progress=progress,
            )
            if status.ending == "diverged":  # while the rows of the failing step are still here
                status = _name_culprits(approx, target, run.supply.last)
        except BaseException as error:
            why = f"{type(error).__name__} passed through; all steps so far are kept, refine() goes on from here."
            approx._status = Status("failed", approx.status.step, why)
            raise
        finally:
            approx._running = False
            if restarts > 1:
                approx._history = History(approx.hist if approx._score else None)
            run.close()
            approx.publish()
    if isinstance(run, SeveralRuns) and status.ending != "diverged":
        approx._restarts = record_of(approx, algorithm, run)
        status = replace(status, message=f"{status.message} {describe(approx._restarts)}.")
    approx._status = status
    if status.ending == "diverged":
        raise DivergedError(status.message, approx)
    logger.info("%s", status)


def run_of(approx: Approximation, history: History | None = None, restarts: int = 1) -> Run:
    """The run of the approximation's next steps, whose losses go to a history; to be closed."""
    target, state, algorithm = approx.target(training=True), approx._state, approx._algorithm
    assert state is not None
    assert algorithm is not None
    supply = supply_for(target, state, approx._stream)
    if restarts > 1:
        states = [state, *other_starts(approx, algorithm, restarts)]
        return SeveralRuns(target, algorithm, states, supply)
    if approx._devices is not None:
        return SharedRun(target, algorithm, state, supply, history, approx._devices)
    return OneRun(target, algorithm, state, supply, history)
