"""The loop: chunks of steps, then callbacks, then again. The only one in the library."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from pymc.variational.callbacks import CheckParametersConvergence

from vi.diagnostics.losses import average_loss, still_falling
from vi.diagnostics.status import Converged, Status
from vi.targets.base import Inputs
from vi.training.progress import ProgressBar
from vi.training.run import Run
from vi.training.runner import BUFFER
from vi.training.signals import Ending, deferred_interrupt, deferred_termination
from vi.training.watch import Watch

__all__ = ["Callback", "check_callbacks", "train"]


type Callback = Callable[[Any, Any, int], Any]

CHUNK_SECONDS = 0.1
"""How long a chunk takes, so that for a person the bar moves and Ctrl-C is heard at once."""

SKIPPED, PER_STEPS, IN_A_ROW = 10, 1000, 3
"""Steps that may be left out because log p is not finite at their draws, of the last so many, and
one after the other: what is rarer than that moves no result, and what is not has a cause.
"""

NOBODY = Watch()
"""Of a run that nobody watches."""

INTERRUPTED, STOPPED, CONVERGED, FAILED = 1, 2, 3, 4
"""How a run ends; 0: it goes on. All processes of a run take the largest number."""


def train(
    run: Run,
    n: int,
    *,
    callbacks: Sequence[Callback],
    commit: Callable[[], None],
    publish: Callable[[], Any],
    progress: ProgressBar,
    watch: Watch = NOBODY,
    exception: Callable[[], bool] = lambda: True,
) -> Status:
    """Advance a run by ``n`` steps in chunks and call the callbacks on exactly their steps.

    A chunk ends where a callback is due, where the data at hand end, and after about 0.1 s at the
    latest (later only where beginning a chunk takes long itself), so that the bar moves and Ctrl-C
    is heard. The run is not closed.

    Parameters
    ----------
    run : Run
        What advances.
    n : int
        How far.
    callbacks : sequence of callables
        Called as ``callback(approx, losses, i)`` after step ``i``. One that is an instance of
        :class:`vi.callbacks.Callback` is called where ``i`` is a multiple of its ``every``, any
        other after every step, but for PyMC's convergence check, which has its ``every`` too.
    commit : callable
        Called after each chunk: ``run.state``, ``run.step`` and ``run.history`` are new.
    publish : callable
        Brings the live approximation up to date and returns it; called when a callback is due.
    progress : ProgressBar
        An entered progress bar.
    watch : Watch, optional
        What looks for the best state, and what keeps states; chunks end on their steps. Where
        states are kept, SIGTERM ends the run as Ctrl-C does, and what was to happen at it happens
        after that.
    exception : callable
        Asked where a step is not finite: whether it may be left out, if those after it are.

    Returns
    -------
    Status
        How the run ended. Exceptions of callbacks other than ``StopIteration`` and
        ``KeyboardInterrupt`` pass through; everything up to their step is kept.
    """
    start = run.step
    goal = start + n
    limit = 1  # doubled from chunk to chunk: the first ones of a slow model are short too
    inputs, available = run.supply.at(start)
    with ExitStack() as signals:
        interrupted = signals.enter_context(deferred_interrupt())
        fixed = _warmed_up(run, inputs, interrupted)
        progress.begin()
        if watch.saver is not None:
            signals.enter_context(deferred_termination(interrupted))
        while run.step < goal:
            inputs, available = run.supply.at(run.step)
            intervals = [_interval(callback) for callback in callbacks]
            looks = [every - run.step % every for every in intervals]
            here = (goal - run.step, available - run.step, watch.left(run.step))
            until = min(limit, *here, *looks)
            began = time.perf_counter()
            losses, finite = run.advance(inputs, until)
            seconds = time.perf_counter() - began
            step = run.step
            watch.see(losses, run)
            commit()
            trace = run.own_losses
            progress.update(step - start, losses if trace is None else trace, final=step == goal)
            if not finite:
                if not (exception() and _left_out(run, inputs, available)):
                    return Status(
                        "diverged", step, "a loss or a parameter of the next step is not finite."
                    )
                step = run.step
                commit()
            due = [f for f, every in zip(callbacks, intervals, strict=True) if step % every == 0]
            try:
                ending, why = _called(due, run, publish)
            except KeyboardInterrupt:
                ending, why = 0, ""
                interrupted.set()
            except BaseException:
                run.agree(seconds, FAILED)  # the other processes end too
                raise
            mine = ending or (INTERRUPTED if interrupted.is_set() else 0)
            seconds, agreed = run.agree(seconds, mine)
            if agreed == FAILED:
                raise RuntimeError(
                    f"A callback raised an exception after step {step} in another process of this "
                    "run."
                )
            if agreed in (0, INTERRUPTED):
                watch.after(step, interrupted=agreed == INTERRUPTED)
            if agreed:
                why = interrupted.reason if agreed == INTERRUPTED else why
                return _ended(agreed, step, why if agreed == mine else "")
            if until == limit:
                # where beginning a chunk takes long, chunks do too: it costs a fifth at the most
                limit = _next_limit(limit, seconds - fixed, max(CHUNK_SECONDS, 4 * fixed))
    return _all_done(run.step, run.own_losses)


def _warmed_up(run: Run, inputs: Inputs, interrupted: Ending) -> float:
    """Compile; the seconds that a chunk takes whatever its length: a large state is copied once."""
    interrupted.at_once = True
    run.warm_up(inputs)
    began = time.perf_counter()
    run.warm_up(inputs)
    interrupted.at_once = False
    fixed, _ = run.agree(time.perf_counter() - began, 0)
    return fixed


def _called(callbacks: Sequence[Callback], run: Run, publish: Callable[[], Any]) -> tuple[int, str]:
    """Call callbacks after a chunk: how the run ends, if one of them ends it, and why."""
    try:
        for callback in callbacks:
            callback(publish(), run.losses, run.step)
    except StopIteration as stop:
        return CONVERGED if isinstance(stop, Converged) else STOPPED, str(stop)
    return 0, ""


def _left_out(run: Run, inputs: Inputs, available: int) -> bool:
    """Leave out a step whose draws are not finite, where that is an exception."""
    last = run.losses
    few = run.skipped if last is None else int(np.isnan(last[-PER_STEPS:]).sum())
    if few >= SKIPPED:
        return False
    # rows of a stream that are not here yet are not waited for
    return run.skip(inputs, min(IN_A_ROW, available - run.step - 1))


def _all_done(step: int, trace: np.ndarray | None) -> Status:
    """The status after all steps that were asked for."""
    if trace is None:
        return Status("max_steps", step, "refine() goes on from here.")
    loss = f"average loss {average_loss(trace):,.5g}"
    if still_falling(trace):
        return Status(
            "max_steps",
            step,
            f"{loss}, still falling: not at the optimum yet, go on with refine().",
        )
    return Status("max_steps", step, f"{loss}; refine() goes on from here.")


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """The callbacks as a tuple; refuse what cannot be called as one."""
    if callbacks is None:
        return ()
    if callable(callbacks) or not isinstance(callbacks, Sequence):
        raise TypeError(
            f"callbacks must be a list of callables, got {callbacks!r}; write callbacks=[...]."
        )
    for callback in callbacks:
        if isinstance(callback, type):
            raise TypeError(
                f"{callback.__name__} in callbacks is a class; make one: {callback.__name__}(...)."
            )
        if not callable(callback):
            raise TypeError(
                f"{callback!r} in callbacks cannot be called; a callback is f(approx, losses, i)."
            )
        _check_call(callback)
    return tuple(callbacks)


def _check_call(callback: Callback) -> None:
    """Refuse what would not take three arguments, or would do nothing when it is called."""
    name = getattr(callback, "__qualname__", None) or type(callback).__name__
    function: Any = callback
    while isinstance(function, functools.partial):
        function = function.func
    called = (function, getattr(type(function), "__call__", None))  # noqa: B004 (the function)
    for lazy, what in (
        (inspect.iscoroutinefunction, "is an async function"),
        (inspect.isasyncgenfunction, "is an async generator"),
        (inspect.isgeneratorfunction, "is a generator (it has a yield)"),
    ):
        if any(map(lazy, called)):
            raise TypeError(
                f"{name} in callbacks {what}: nothing in it would run when it is called. Write a "
                "plain function f(approx, losses, i)."
            )
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # of a builtin there is none to read
        return
    try:
        signature.bind(None, None, 0)
    except TypeError as error:
        raise TypeError(
            f"{name}{signature} in callbacks cannot be called with (approx, losses, i), which is "
            f"what a callback gets, by position: {error}."
        ) from None


def _interval(callback: Callback) -> int:
    """Steps between two calls: a vi callback's ``every``, 1 for any other callable, as in PyMC.

    PyMC's own check is called after every step and returns at once where none is due, but for the
    first time, when it takes its first look: that, and the steps that it waits for, are its calls.
    """
    kind: Any = type(callback)
    if kind.__call__ is CheckParametersConvergence.__call__:
        check: Any = callback
        return 1 if check.prev is None else max(1, int(check.every))
    return int(getattr(callback, "_vi_every", 1))


def _next_limit(limit: int, elapsed: float, seconds: float) -> int:
    """Chunk length for the next time: at most doubled, aiming at some seconds of steps."""
    wanted = int(limit * seconds / max(elapsed, 1e-6))
    return max(1, min(wanted, 2 * limit, BUFFER))


def _ended(ending: int, step: int, why: str | None) -> Status:
    if ending == CONVERGED:
        return Status("converged", step, why or "a convergence check was satisfied.")
    if ending == STOPPED:
        return Status("stopped", step, why or "a callback raised StopIteration.")
    why = why or "Ctrl-C in another process"
    return Status(
        "interrupted", step, f"{why}; everything so far is kept, refine() goes on from here."
    )
