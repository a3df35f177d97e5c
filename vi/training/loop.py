"""The loop: chunks of steps, then callbacks, then again. The only one in the library."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from vi.algorithms.base import State
from vi.diagnostics.losses import average_loss, still_falling
from vi.diagnostics.status import Converged, Status
from vi.foundation.precision import precision
from vi.targets.base import Batch
from vi.training.history import History
from vi.training.progress import ProgressBar
from vi.training.runner import BUFFER, Runner

__all__ = ["Callback", "Supply", "check_callbacks", "train"]


class Supply(Protocol):
    """Where the loop gets its data."""

    def at(self, step: int) -> tuple[Batch, int]:
        """The batch for the steps from ``step`` on, and the first step for which another one
        must be asked for.
        """


type Callback = Callable[[Any, Any, int], Any]

type Agree = Callable[[float, int], tuple[float, int]]

CHUNK_SECONDS = 0.1

INTERRUPTED, STOPPED, CONVERGED, FAILED = 1, 2, 3, 4


def train(
    *,
    runner: Runner,
    state: State,
    supply: Supply,
    n: int,
    dtype: np.dtype,
    history: History | None,
    callbacks: Sequence[Callback],
    commit: Callable[[State, int], None],
    publish: Callable[[], Any],
    progress: ProgressBar,
    agree: Agree | None = None,
) -> Status:
    """Run ``n`` steps in chunks and call the callbacks on exactly their steps.

    A chunk ends where a callback is due, and after about 0.1 s at the latest (later only where
    beginning a chunk takes long itself), so that the bar moves and Ctrl-C is heard.

    Parameters
    ----------
    runner, state, supply, n, dtype
        What advances, from where, on which data, how far, in which precision.
    history : History or None
        The loss trace, extended in place; with ``None`` losses are not kept and callbacks get
        ``None`` for them.
    callbacks : sequence of callables
        Called as ``callback(approx, losses, i)`` after step ``i``. One that is an instance of
        :class:`vi.callbacks.Callback` is called where ``i`` is a multiple of its ``every``, any
        other after every step.
    commit : callable
        Takes the state after each chunk, and its step.
    publish : callable
        Brings the live approximation up to date and returns it; called when a callback is due.
    progress : ProgressBar
        An entered progress bar.
    agree : callable, optional
        Takes a chunk's seconds and how it ended, and returns what all processes of a run go by:
        chunks then have the same length, and the run the same end, in all of them.

    Returns
    -------
    Status
        How the run ended. Exceptions of callbacks other than ``StopIteration`` and
        ``KeyboardInterrupt`` pass through; everything up to their step is kept.
    """
    start = runner.step_of(state)
    goal = start + n
    step = start
    limit = 1  # doubled from chunk to chunk: the first ones of a slow model are short too
    intervals = [_interval(callback) for callback in callbacks]
    with precision(dtype):
        batch, available = supply.at(step)
        runner.run(state, batch, 0)  # compiles
        began = time.perf_counter()
        runner.run(state, batch, 0)
        # of a chunk, whatever its length: a large state is copied once; several processes must come
        # to the same length
        fixed = time.perf_counter() - began if agree is None else 0.0
    progress.begin()
    with _deferred_interrupt() as interrupted:
        while step < goal:
            if step >= available:
                batch, available = supply.at(step)
            until = min(
                [goal - step, available - step, limit]
                + [every - step % every for every in intervals]
            )
            began = time.perf_counter()
            with precision(dtype):
                state, losses, finite = runner.run(state, batch, until)
            elapsed = time.perf_counter() - began
            step += len(losses)
            if history is not None:
                history.extend(losses)
            commit(state, step)
            progress.update(
                step - start, losses if history is None else history.values, final=step == goal
            )
            if not finite:
                return Status(
                    "diverged", step, "a loss or a parameter of the next step is not finite."
                )
            own = why = None
            try:
                for callback, every in zip(callbacks, intervals, strict=True):
                    if step % every == 0:
                        callback(publish(), None if history is None else history.values, step)
            except StopIteration as stop:
                own, why = CONVERGED if isinstance(stop, Converged) else STOPPED, str(stop)
            except KeyboardInterrupt:
                interrupted.set()
            except BaseException:
                if agree is not None:
                    agree(elapsed, FAILED)
                raise
            ending = own or (INTERRUPTED if interrupted.is_set() else 0)
            if agree is not None:
                elapsed, ending = agree(elapsed, ending)
            if ending == FAILED:
                raise RuntimeError(
                    f"A callback raised an exception after step {step} in another process of this run."
                )
            if ending:
                return _ended(ending, step, why if ending == own else "")
            if until == limit:
                limit = _next_limit(limit, elapsed - fixed, max(CHUNK_SECONDS, 4 * fixed))
    if history is None:
        return Status("max_steps", step, "refine() goes on from here.")
    loss = f"average loss {average_loss(history.values):,.5g}"
    if still_falling(history.values):
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
    return tuple(callbacks)


def _interval(callback: Callback) -> int:
    """Steps between two calls: a vi callback's ``every``, 1 for any other callable, as in PyMC."""
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
    return Status(
        "interrupted", step, "Ctrl-C; everything so far is kept, refine() goes on from here."
    )


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turn Ctrl-C into a flag that is read at chunk boundaries; a second Ctrl-C interrupts at
    once.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # a background process that is not to be interrupted
        yield flag
        return

    def handle(number: int, frame: Any) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
