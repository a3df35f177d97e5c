"""Steps: a record goes in, and the record after them comes out; what happened is its status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.algorithms.base import State
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of
from vi.approximation.steps.divergence import diagnosed
from vi.approximation.steps.restarts import comparison, first_states
from vi.diagnostics.agreement import describe
from vi.diagnostics.status import Status
from vi.foundation.devices import Devices
from vi.foundation.precision import precision
from vi.targets.base import Batch, StepArrays, Target
from vi.training.compiled import runner_for
from vi.training.history import History
from vi.training.loop import Supply, train
from vi.training.progress import ProgressBar
from vi.training.restarts import Traces, restarts_runner

__all__ = ["check_can_step", "run_steps", "state_on", "supply_of"]

logger = logging.getLogger("vi")

type Commit = Callable[[FitState], Any]


def check_can_step(fit: FitState) -> None:
    """Refuse a record that has no algorithm, or whose data were left behind."""
    if fit.algorithm is None or fit.run is None:
        raise TypeError("The approximation has no algorithm yet: call fit() first.")
    if fit.data.missing is not None:
        raise TypeError(fit.data.missing)


def run_steps(
    fit: FitState,
    n: int,
    *,
    restarts: int,
    progressbar: bool,
    commit: Commit,
    publish: Callable[[], Any],
) -> FitState:
    """Do ``n`` steps with the record's algorithm; with ``restarts``, of several runs at once.

    Parameters
    ----------
    fit : FitState
        Where to go on.
    n : int
        Steps.
    restarts : int
        Runs, of which the best is kept.
    progressbar : bool
        Whether to show progress.
    commit : callable
        Is given the record after every chunk. Before the first chunk nothing has happened: an
        exception until then leaves the caller's record as it was.
    publish : callable
        Brings the live approximation up to date and returns it, for callbacks.

    Returns
    -------
    FitState
        The record after the steps. A run that diverged is a status like the others.
    """
    check_can_step(fit)
    assert fit.algorithm is not None
    assert fit.run is not None
    done = int(fit.run.step)
    if n == 0:
        return (
            replace(fit, status=Status("initialised", 0, "no step was done yet."))
            if not done
            else fit
        )
    target = target_of(fit, training=True)
    supply = supply_of(fit, target)
    devices = fit.devices
    if devices is not None:
        state = (fit.run, fit.seed, int(n))
        devices.check_same("seed, start, state or number of steps", state)
    several = None
    history: History | None = History(fit.losses) if fit.keep_losses else None
    if restarts == 1:
        runner: Any = runner_for(target, fit.algorithm)
        states: Any = state_on(devices, fit)
    else:
        several = runner = restarts_runner(target, fit.algorithm, restarts)
        history = Traces(restarts)
        states = several.joined(first_states(fit, restarts))

    def record(new: Any, step: int) -> None:
        nonlocal fit, states
        states = new
        if several is not None:
            assert isinstance(history, Traces)
            new = several.one(new, history.leader)
        losses = fit.losses if history is None else history.values
        status = Status("running", step, "a run is going on.")
        new = new if devices is None else devices.local(new)
        fit = replace(fit, run=new, losses=losses, status=status)
        commit(fit)

    def agree(elapsed: float, ending: int) -> tuple[float, int]:
        assert devices is not None
        elapsed, ending_anywhere = devices.largest([elapsed, ending])
        return elapsed, int(ending_anywhere)

    leads = devices is None or devices.leads
    try:
        with ProgressBar(int(n), f"{fit.family.short_name}:", progressbar and leads) as progress:
            status = train(
                runner=runner,
                state=states,
                supply=supply,
                n=int(n),
                dtype=fit.dtype,
                history=history,
                callbacks=fit.callbacks,
                commit=record,
                publish=publish,
                progress=progress,
                agree=agree if devices is not None and devices.several_processes else None,
            )
        if status.ending == "diverged":
            # the supply still has the batch of the failing step
            status = diagnosed(fit, target, supply.at(status.step)[0])
        elif several is not None:
            assert isinstance(history, Traces)
            runs = range(restarts)
            starts = comparison(
                fit, [several.one(states, run) for run in runs], [history.of_run(r) for r in runs]
            )
            status = replace(status, message=f"{status.message} {describe(starts)}.")
            fit = replace(fit, starts=starts)
        if several is not None and not fit.keep_losses:
            fit = replace(fit, losses=np.empty(0))
        logger.info("%s", status)
        return replace(fit, status=status)
    finally:
        if fit.data.stream is not None:
            fit.data.stream.close()


def state_on(devices: Devices | None, fit: FitState) -> State:
    """The state that the next steps start from, on every device that shares them."""
    assert fit.run is not None
    if devices is None:
        return fit.run
    with precision(fit.dtype):
        return devices.replicate(fit.run)


class _Constant:
    """All data at once."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def at(self, step: int) -> tuple[Batch, int]:
        return self._batch, sys.maxsize


class _Streamed:
    """Blocks of batches that a stream reads ahead."""

    def __init__(self, fit: FitState, target: Target) -> None:
        assert fit.run is not None
        assert fit.data.stream is not None
        self._shared = target.batch()
        self._stream = fit.data.stream
        words = [int(word) for word in np.asarray(jax.random.key_data(fit.run.key))]
        self._stream.start((words[0], words[1]), int(fit.run.step), target.place)

    def at(self, step: int) -> tuple[Batch, int]:
        block = self._stream.block(step)
        batches = StepArrays(np.uint32(block.first), block.arrays)
        return (*self._shared, batches), block.first + block.count


def supply_of(fit: FitState, target: Target) -> Supply:
    """The data of a record's next steps."""
    return _Constant(target.batch()) if fit.data.stream is None else _Streamed(fit, target)
