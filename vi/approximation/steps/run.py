"""Advance an approximation by some steps: the one place where the loop meets the live object."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vi.algorithms.base import State
from vi.approximation.steps.divergence import _name_culprits
from vi.approximation.steps.restarts import Restarts
from vi.diagnostics.agreement import describe
from vi.diagnostics.status import DivergedError, Status
from vi.foundation.devices import Devices
from vi.foundation.numbers import check_steps
from vi.foundation.precision import precision
from vi.targets.base import Batch, StepArrays, Target
from vi.training.compiled import runner_for
from vi.training.history import History
from vi.training.loop import Callback, Supply, train
from vi.training.progress import ProgressBar

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["advance", "state_on", "supply_of"]

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
    target = approx.target(training=True)
    supply = supply_of(approx, target)
    devices = approx._devices
    if devices is not None:
        devices.check_same(
            "seed, start, state or number of steps", (approx._state, approx._seed, int(n))
        )
    leads = devices is None or devices.leads

    runs = None if restarts == 1 else Restarts(approx, algorithm, target, restarts)

    def commit(new: Any, step: int) -> None:
        if runs is not None:
            runs.states, approx._history = new, runs.traces
            new = runs.leading()
        approx._state = new if devices is None else devices.local(new)
        approx._status = Status("running", step, "a run is going on.")

    def agree(elapsed: float, ending: int) -> tuple[float, int]:
        assert devices is not None
        elapsed, ending_anywhere = devices.largest([elapsed, ending])
        return elapsed, int(ending_anywhere)

    with ProgressBar(int(n), f"{approx.family.short_name}:", progressbar and leads) as progress:
        try:
            approx._running = True
            approx._status = Status("running", done, "a run is going on.")
            status = train(
                runner=runner_for(target, algorithm) if runs is None else runs.runner,
                # held nowhere else: large models have room for few states
                state=state_on(devices, approx) if runs is None else runs.states,
                supply=supply,
                n=int(n),
                dtype=approx.dtype,
                history=runs.traces
                if runs is not None
                else approx._history
                if approx._score
                else None,
                callbacks=callbacks,
                commit=commit,
                publish=approx.publish,
                progress=progress,
                agree=agree if devices is not None and devices.several_processes else None,
            )
        except BaseException as error:
            why = f"{type(error).__name__} passed through; all steps so far are kept, refine() goes on from here."
            approx._status = Status("failed", approx.status.step, why)
            raise
        finally:
            approx._running = False
            if runs is not None:
                approx._history = History(approx.hist if approx._score else None)
            if approx._stream is not None:
                approx._stream.close()
            approx.publish()
    if status.ending == "diverged":
        status = _name_culprits(approx, target, supply.at(approx.status.step)[0])
    if runs is not None and status.ending != "diverged":
        approx._restarts = runs.record(approx)
        status = replace(status, message=f"{status.message} {describe(approx._restarts)}.")
    approx._status = status
    if status.ending == "diverged":
        raise DivergedError(status.message, approx)
    logger.info("%s", status)


def state_on(devices: Devices | None, approx: Approximation) -> State:
    """The state that the next steps start from, on every device that shares them."""
    assert approx._state is not None
    if devices is None:
        return approx._state
    with precision(approx.dtype):
        return devices.replicate(approx._state)


class _Constant:
    """All data at once."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def at(self, step: int) -> tuple[Batch, int]:
        return self._batch, sys.maxsize


class _Streamed:
    """Blocks of batches that a stream reads ahead."""

    def __init__(self, approx: Approximation, target: Target) -> None:
        assert approx._state is not None
        self._shared = target.batch()
        self._stream = approx._stream
        words = [int(word) for word in np.asarray(jax.random.key_data(approx._state.key))]
        self._stream.start((words[0], words[1]), int(approx._state.step), target.place)

    def at(self, step: int) -> tuple[Batch, int]:
        block = self._stream.block(step)
        return (
            *self._shared,
            StepArrays(np.uint32(block.first), block.arrays),
        ), block.first + block.count


def supply_of(approx: Approximation, target: Target) -> Supply:
    """The data of an approximation's next steps."""
    return _Constant(target.batch()) if approx._stream is None else _Streamed(approx, target)
