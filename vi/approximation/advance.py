"""Advance an approximation by some steps: the one place where the loop meets the live object."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vi.algorithms.base import Algorithm, State
from vi.approximation.restarts import Restarts, describe
from vi.precision import precision
from vi.sharding import Devices
from vi.targets.base import Batch, StepArrays, Target
from vi.training.history import History
from vi.training.loop import Callback, Supply, train
from vi.training.progress import ProgressBar
from vi.training.runners import runner_for
from vi.training.status import DivergedError, Status

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["advance", "check_steps", "state_on", "supply_of"]

logger = logging.getLogger("vi")

FAR = 1e3
"""Unconstrained values beyond this say that the run itself went astray, not the gradient."""


def check_steps(n: int) -> None:
    """Refuse what is no number of steps."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise ValueError(f"n={n!r}: the number of steps must be a whole number of at least 0.")


def advance(
    approx: Approximation, n: int, callbacks: tuple[Callback, ...], *, progressbar: bool, restarts: int = 1
) -> None:
    """Do ``n`` steps with the approximation's algorithm and state; with ``restarts``, of several runs at once.

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
        devices.check_same("seed, start, state or number of steps", (approx._state, approx._seed, int(n)))
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
                history=runs.traces if runs is not None else approx._history if approx._score else None,
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
        return (*self._shared, StepArrays(np.uint32(block.first), block.arrays)), block.first + block.count


def supply_of(approx: Approximation, target: Target) -> Supply:
    """The data of an approximation's next steps."""
    return _Constant(target.batch()) if approx._stream is None else _Streamed(approx, target)


def _name_culprits(approx: Approximation, target: Target, batch: Batch) -> Status:
    """Repeat the failing step's evaluation and name the variables whose values are not finite."""
    algorithm, state = approx._algorithm, approx._state
    assert algorithm is not None
    assert state is not None
    step = int(state.step) + 1
    with precision(approx.dtype):
        now = target.at_step(batch, np.asarray(jax.random.key_data(state.key)), np.asarray(state.step))
        points = np.asarray(jax.jit(lambda state, seen: _points(algorithm, state, seen))(state, target.local(now)))
        value, score = (np.asarray(a) for a in target.value_and_score(points, now))
    bad = np.flatnonzero(~np.all(np.isfinite(points) & np.isfinite(score), axis=0))
    near = np.all(np.abs(points) < FAR)
    if bad.size and near and np.all(np.isfinite(value)) and target.backend == "jax":
        what = (
            f"JAX's gradient in {target.layout.describe(bad)} is not finite although log p is; "
            "backend='pytensor' differentiates the model itself"
        )
    elif bad.size:
        what = f"the gradient or the value of {target.layout.describe(bad)} is not finite"
    elif not np.all(np.isfinite(value)):
        extreme = np.argsort(-np.abs(points).max(axis=0))[:3]
        what = f"log p is {value[~np.isfinite(value)][0]} (largest entries: {target.layout.describe(extreme)})"
    else:
        what = "the update of the parameters overflowed"
    advice = (
        "The last finite state is kept (approx, or the error's .approx). Smaller steps (obj_optimizer), "
        "a start nearer the posterior (start, start_sigma) or tighter priors usually help."
    )
    return Status("diverged", step - 1, f"NaN or infinity at step {step}: {what}. {advice}")


def _points(algorithm: Algorithm, state: State, seen: Any) -> jax.Array:
    """The points at which a step asks for the log density."""
    stepper, part, _ = algorithm.focus(state, seen)
    return stepper.ask(part).points
