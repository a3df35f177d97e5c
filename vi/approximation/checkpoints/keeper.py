"""Who writes the checkpoints of a run, and knows where it goes on."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from vi.algorithms import State
from vi.approximation.checkpoints.asked import Checkpoint
from vi.approximation.checkpoints.found import Found, away_with_damaged, newest, refuse_another
from vi.approximation.checkpoints.identity import identity
from vi.approximation.checkpoints.memory import (
    callbacks_known,
    leaves_of,
    remember,
    remembered,
    restore_callbacks,
    runs_from,
)
from vi.approximation.checkpoints.run_data import RunData, set_in_the_run
from vi.approximation.checkpoints.store import Store
from vi.approximation.files.save import stored
from vi.approximation.record.fit_state import FitState
from vi.diagnostics.status import Status
from vi.training.best import Best
from vi.training.run import Run
from vi.training.saver import Saver
from vi.training.several import SeveralRuns

__all__ = ["Keeper", "kept"]

logger = logging.getLogger("vi")

UNFINISHED = ("running", "interrupted", "failed")
"""Endings after which the same call has more to do."""


class Keeper(Saver):
    """Writes the checkpoints of one call of ``fit`` or ``refine``.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.
    store : Store or None
        The files; none in a process that does not lead.
    known : dict
        What the run is known by.
    fit : FitState
        The record before its first step.
    n : int
        Its steps.
    callbacks : sequence of callables
        Its callbacks.
    found : Found or None
        The checkpoint that it goes on from.
    """

    def __init__(
        self,
        asked: Checkpoint,
        store: Store | None,
        known: dict[str, Any],
        fit: FitState,
        n: int,
        callbacks: Sequence[Any],
        found: Found | None,
    ) -> None:
        assert fit.run is not None
        self._asked, self._store, self._known = asked, store, known
        self._callbacks, self._found = callbacks, found
        self._data = RunData(fit, known["model"])
        self._begun = int(fit.run.step) if found is None else int(found.table["begun"])
        self._goal = self._begun + n
        self._run: Run | None = None
        self._best: Best | None = None
        self.is_finished = found is not None and found.is_finished(n)
        """Whether there is nothing more to do."""
        self.left_of_all = n - (0 if found is None else found.done)
        """Steps that are left of those that were planned."""
        self.fit = fit if found is None else found.record(fit, finished=self.is_finished)
        """The record to go on from."""
        self._record: Callable[[], FitState] = lambda: self.fit
        self._last = time.monotonic()
        self._at = -1
        if found is not None:
            restore_callbacks(callbacks, found.arrays, found.table["callbacks"])

    def first(self) -> None:
        """Write the state before the first step: what cannot be written is known before a step.

        Raises
        ------
        OSError
            If the disk is full, say.
        """
        if self._found is None:
            self._write(self.fit)

    def states(self) -> list[State] | None:
        """The states from which several runs go on, all at the same step."""
        found = self._found
        if found is None or not found.done or "failed" not in found.table["run"]:
            return None
        return runs_from(self.fit, found.arrays)

    def watch(self, run: Run, best: Best | None, record: Callable[[], FitState]) -> Saver:
        """Write what a run comes to, which first goes on from where the one of the file was.

        Parameters
        ----------
        run, best
            What goes on.
        record : callable
            Gives the record after the last chunk.
        """
        self._run, self._best, self._record = run, best, record
        found, self._found = self._found, None
        if found is not None and found.done:
            remembered(self.fit, found.arrays, found.table["run"], run, best)
        return self

    def left(self, step: int) -> int:
        steps = self._asked.steps
        return sys.maxsize if steps is None else steps - step % steps

    def look(self, step: int) -> None:
        if self._asked.steps is not None:
            due = step % self._asked.steps == 0
        else:
            assert self._asked.seconds is not None
            due = time.monotonic() - self._last >= self._asked.seconds
        if due:
            self.keep(step)

    def keep(self, step: int) -> None:
        self._try(self._record())

    def end(self, fit: FitState) -> None:
        """Write how the run has ended, if it has not written this state."""
        assert fit.run is not None
        if fit.status.ending in UNFINISHED and int(fit.run.step) == self._at:
            return
        self._try(fit)

    def _try(self, fit: FitState) -> None:
        """Write; a disk that is full now is no reason to lose the run."""
        try:
            self._write(fit)
        except OSError as error:
            logger.warning(
                "No checkpoint after step %s: %s. The run goes on, and the next one is tried; "
                "the last one stays.",
                f"{0 if fit.run is None else int(fit.run.step):,}",
                error,
            )
        self._last = time.monotonic()

    def _write(self, fit: FitState) -> None:
        if self._store is None:
            return
        state = fit.run
        assert state is not None
        step = int(state.step)
        finished = fit.status.ending not in UNFINISHED and self._run is not None
        if not finished:
            told = f"a checkpoint of a run to step {self._goal:,}; refine() goes on from here."
            fit = replace(fit, status=Status("interrupted", step, told))
        self._data.look()
        arrays, meta = stored(fit, self._data.of_model)
        if "step" not in arrays:
            arrays |= leaves_of(state)
        table: dict[str, Any] = {}
        leader, rows = 0, fit.losses[:, np.newaxis]
        if self._run is not None:
            more, table = remember(self._run, self._best)
            arrays |= more
            if isinstance(self._run, SeveralRuns):
                leader, rows = self._run.traces.leader, self._run.traces.rows
        more, of_callbacks = callbacks_known(self._callbacks)
        meta["status"] = asdict(fit.status)
        meta["checkpoint"] = {
            "identity": self._known,
            "begun": self._begun,
            "step": step,
            "finished": finished,
            "run": table,
            "callbacks": of_callbacks,
            "data": dict(self._data.set_since),
        }
        self._store.write(arrays | more, meta, rows, leader)
        self._at = step


@contextmanager
def kept(
    asked: Checkpoint, fit: FitState, n: int, restarts: int, callbacks: Sequence[Any]
) -> Iterator[Keeper]:
    """What writes the checkpoints of a run that is about to begin, or to go on.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.
    fit : FitState
        The record before the first step of the run.
    n : int
        Its steps.
    restarts : int
        The number of starts.
    callbacks : sequence of callables
        Its callbacks; those with ``get_state`` and ``set_state`` go on where they were.

    Raises
    ------
    ValueError
        If the checkpoint that is there is of another run, or cannot be read.
    OSError
        If nothing can be written.
    RuntimeError
        If another process writes there.
    """
    with ExitStack() as stack:
        leads = fit.devices is None or fit.devices.leads
        store = stack.enter_context(Store(asked)) if leads else None
        known = identity(fit, restarts)
        found = newest(asked) if asked.resume else None
        if found is not None:
            set_since = set_in_the_run(found.table.get("data", {}), fit)
            refuse_another(asked, found, known, n, [] if found.is_finished(n) else set_since)
        keeper = Keeper(asked, store, known, fit, n, callbacks, found)
        if store is not None and found is not None:
            away_with_damaged(asked, found)
            store.go_on(found.trace, found.arrays["traces"])
        elif store is not None and (aside := store.set_aside()) is not None:
            logger.info("Begins anew; the checkpoint that was there is now %s.", aside)
        if found is not None:
            logger.info(
                "Goes on from checkpoint %s: %s steps of %s are done.",
                found.path,
                f"{found.done:,}",
                f"{n:,}",
            )
        keeper.first()
        del found  # a state and a trace that nobody needs while steps are made
        yield keeper
