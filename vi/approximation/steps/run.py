"""Steps: a record goes in, and the record after them comes out; what happened is its status."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vi.algorithms import State
from vi.approximation.checkpoints.keeper import Keeper
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.judgement import data_read
from vi.approximation.record.log_density import target_of
from vi.approximation.record.parameters import averaged_params
from vi.approximation.record.present_data import refuse_changed_data
from vi.approximation.steps.divergence import diagnosed
from vi.approximation.steps.first_widths import with_first_widths
from vi.approximation.steps.restarts import comparison, first_states
from vi.approximation.steps.unreliable import doubted
from vi.approximation.steps.warm_start import warm_started
from vi.diagnostics.agreement import describe
from vi.diagnostics.status import Status
from vi.targets.base import Target
from vi.training.best import Best
from vi.training.history import History
from vi.training.loop import Callback, train
from vi.training.one import OneRun
from vi.training.progress import ProgressBar
from vi.training.run import Run
from vi.training.several import SeveralRuns
from vi.training.shared import SharedRun
from vi.training.supply import supply_for
from vi.training.watch import Watch

__all__ = ["Around", "check_can_step", "failed", "run_of", "run_steps"]

logger = logging.getLogger("vi")


def check_can_step(fit: FitState) -> None:
    """Refuse a record that has no algorithm, or whose data were left behind."""
    if fit.data.missing is not None:
        raise TypeError(fit.data.missing)
    if fit.algorithm is None or fit.run is None:
        raise TypeError("The approximation has no algorithm yet: call fit() first.")


@dataclass(frozen=True)
class Around:
    """Who calls, and what is called, while steps are made.

    Parameters
    ----------
    callbacks : sequence of callables
        What is called between these steps.
    progressbar : bool
        Whether to show progress.
    commit : callable
        Is given the record after every chunk. Before the first chunk nothing has happened: an
        exception until then leaves the caller's record as it was.
    publish : callable
        Brings the live approximation up to date and returns it, for callbacks.
    keeper : Keeper or None
        What writes checkpoints, and knows what the run that it goes on with knew.
    """

    callbacks: Sequence[Callback]
    progressbar: bool
    commit: Callable[[FitState], Any]
    publish: Callable[[], Any]
    keeper: Keeper | None = None


def run_steps(fit: FitState, n: int, restarts: int, around: Around) -> FitState:
    """Do ``n`` steps with the record's algorithm; with ``restarts``, of several runs at once.

    Parameters
    ----------
    fit : FitState
        Where to go on.
    n : int
        Steps.
    restarts : int
        Runs, of which the best is kept.
    around : Around
        Who calls, and what is called meanwhile.

    Returns
    -------
    FitState
        The record after the steps. A run that diverged is a status like the others.
    """
    check_can_step(fit)
    assert fit.run is not None
    if n == 0 and around.keeper is None:
        if int(fit.run.step) > 0:
            return fit
        return replace(fit, status=Status("initialised", 0, "no step was done yet."))
    target = target_of(fit, "steps")
    fit = with_first_widths(fit, target)
    assert fit.run is not None
    if fit.devices is not None:
        state = (fit.run, fit.seed, int(n))
        fit.devices.check_same("seed, start, state or number of steps", state)
    first = int(fit.run.step)
    fit, lost_in = _on_target(fit, target, int(n), restarts, around)
    if lost_in and fit.backend == "auto" and restarts == 1 and fit.devices is None:
        assert fit.run is not None
        done = int(fit.run.step)
        logger.warning(
            "Backend pytensor from step %s on: JAX's gradient in %s is not finite although log p "
            "is.",
            f"{done + 1:,}",
            lost_in,
        )
        fit = replace(fit, backend="pytensor")
        target = target_of(fit, "steps")
        fit, _ = _on_target(fit, target, first + int(n) - done, 1, around)
    return fit


def _on_target(
    fit: FitState, target: Target, n: int, restarts: int, around: Around
) -> tuple[FitState, str]:
    """Steps on one target: the record, and in which variables JAX alone lost the gradient."""
    # of a fit in stages the end of one is none of the fit
    told = logging.DEBUG if fit.status.ending == "running" else logging.INFO
    began = time.perf_counter()
    keeper = around.keeper
    states = None if keeper is None else keeper.states()
    run, lost_in = run_of(fit, target, restarts, states), ""
    # of several runs the best one is kept already, and several processes hold one state each
    best = Best(float(np.finfo(fit.dtype).eps)) if isinstance(run, OneRun) else None

    def record() -> None:
        nonlocal fit
        trace = run.losses if fit.keep_losses else None
        losses = fit.losses if trace is None else trace
        status = Status("running", run.step, "a run is going on.")
        fit = replace(fit, run=run.state, losses=losses, status=status)
        around.commit(fit)

    def exception() -> bool:
        # a gradient that JAX loses is no exception: another backend has it
        return fit.backend != "auto" or not diagnosed(fit, target, run.supply.last).lost_in

    # a second bar of one fit, after JAX has lost a gradient, says what is another
    label = fit.family.short_name + (", pytensor:" if fit.backend == "pytensor" else ":")
    try:
        saver = None if keeper is None else keeper.watch(run, best, lambda: fit)
        with ProgressBar(n, label, around.progressbar and run.leads) as progress:
            status = train(
                run,
                n,
                callbacks=around.callbacks,
                commit=record,
                publish=around.publish,
                progress=progress,
                watch=Watch(best, saver),
                exception=exception,
            )
        if status.ending == "diverged":  # while the rows of the failing step are still here
            status, lost_in = diagnosed(fit, target, run.supply.last)
        else:
            fit, status = doubted(fit, _reported(fit, status), best, run)
            fit, status = _compared(fit, run, _with_skipped(run, status))
            logger.log(told, "%s", status)
    finally:
        run.close()
    return replace(fit, status=status, seconds=fit.seconds + time.perf_counter() - began), lost_in


def run_of(
    fit: FitState, target: Target, restarts: int = 1, states: Sequence[State] | None = None
) -> Run:
    """The run of a record's next steps on a target; to be closed.

    Parameters
    ----------
    fit : FitState
        The record.
    target : Target
        The log density.
    restarts : int
        Runs, of which the best is kept.
    states : sequence of State, optional
        Where these go on, if they have begun before.
    """
    algorithm = fit.algorithm
    assert algorithm is not None
    # before the supply, whose thread would be left if it fails
    states = first_states(fit, restarts) if states is None else list(states)
    state = states[0]
    if fit.warm_start and int(state.step) == 0:
        states = [warm_started(fit, target, state) for state in states]
        state = states[0]
    supply = supply_for(
        target,
        state,
        fit.data.stream,
        lambda names: refuse_changed_data(fit, names, "steps"),
    )
    if restarts > 1:
        return SeveralRuns(target, algorithm, states, supply)
    history = History(fit.losses, fit.losses_before) if fit.keep_losses else None
    if fit.devices is not None:
        return SharedRun(target, algorithm, state, supply, history, fit.devices)
    return OneRun(target, algorithm, state, supply, history)


def _reported(fit: FitState, status: Status) -> Status:
    """The status, or that what is reported is not finite although the iterate is."""
    if all(np.all(np.isfinite(value)) for value in averaged_params(fit).values()):
        return status
    average = getattr(fit.algorithm, "averaging", None)
    what = "what report() of the algorithm returns is"
    advice = "Look at what it computes."
    if average is not None:
        what = f"the average {average!r} of the iterates is"
        advice = "Fit with another average, or with none: averaging=None."
    message = f"{what} not finite, although the iterate is (approx.iterate). {advice}"
    return Status("diverged", status.step, message)


def _with_skipped(run: Run, status: Status) -> Status:
    """The status with how many steps were left out, if any."""
    if not run.skipped:
        return status
    what = (
        f"{run.skipped} steps of this run were left out, log p or its gradient not finite at their "
        "draws (NaN in hist)"
    )
    return replace(status, message=f"{status.message} {what}.")


def _compared(fit: FitState, run: Run, status: Status) -> tuple[FitState, Status]:
    """Record and status with what several runs found; as they are where there was one."""
    if not isinstance(run, SeveralRuns):
        return fit, status
    runs = range(run.count)
    losses: list[np.ndarray] = [run.traces.of_run(number) for number in runs]
    starts = comparison(fit, [run.state_of(number) for number in runs], losses)
    message = f"{status.message} {describe(starts)}."
    fit = replace(fit, starts=starts, compared_data=data_read(fit))
    return fit, replace(status, message=message)


def failed(record: FitState, error: BaseException) -> Status:
    """The status of a run through which an exception passed."""
    why = (
        f"{type(error).__name__} passed through; all steps so far are kept, refine() goes on from "
        "here."
    )
    return Status("failed", record.status.step, why)
