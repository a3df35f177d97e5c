"""A record that is held and swapped: one change at a time, all or nothing, shown as it goes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

import cloudpickle

from vi.approximation.checkpoints.asked import Checkpoint
from vi.approximation.checkpoints.run_kept import run_kept
from vi.approximation.record.copies import copied, portable, restored
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.judgement import data_read, judged_as_before
from vi.approximation.record.parameters import reported_params, with_params
from vi.approximation.shared_parameters import SharedParameters
from vi.approximation.steps.run import Around, failed
from vi.approximation.turns import Turns
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.status import DivergedError
from vi.foundation.arguments import function, instance
from vi.foundation.numbers import check_count, check_steps, flag
from vi.foundation.unset import Unset
from vi.training.loop import Callback, check_callbacks

__all__ = ["LiveRecord"]


class LiveRecord:
    """Holds the present record of a fit, and the shared variables that show it.

    :class:`vi.Approximation` is what users hold; it adds what q gives.
    """

    scale_cost_to_minibatch: bool
    """Accepted because PyMC has it: the loss is that of the full data in either case."""

    _record: FitState = Unset(  # type: ignore[assignment]
        "has no parameters: its __init__ must call super().__init__(family, **options)"
    )

    def _open(self, record: FitState) -> None:
        """Hold a first record."""
        self._record = record
        self._turns = Turns()
        self._shared = SharedParameters()
        self.publish()

    @classmethod
    def of_record(cls, record: FitState) -> Self:
        """The live approximation of a record."""
        instance("record", record, FitState, "a record, approx.record")
        approx = cls.__new__(cls)
        approx.scale_cost_to_minibatch = True
        approx._open(record)
        return approx

    @property
    def record(self) -> FitState:
        """All that is known of the fit at this moment: a value, which never changes."""
        present = self._record
        if self._shared.written():
            with self._turns.if_free() as free:
                if free:
                    self._adopt()
                    return self._record
        return present

    def _adopt(self) -> None:
        """Take what was written into the shared variables as parameters; or put it back."""
        if values := self._shared.written():
            try:
                self._record = replace(with_params(self._record, values), diagnosis=None)
            finally:
                self.publish()

    def change(self, function: Callable[[FitState], FitState]) -> Self:
        """Hold another record, made from the present one.

        Parameters
        ----------
        function : callable
            Takes the record and returns the next one. If it raises, nothing has changed.

        Raises
        ------
        RuntimeError
            If called from a callback of this approximation's own run, or while another thread
            changes it.
        """
        with self.alone():
            self._adopt()
            self._record = judged_as_before(_made("function", function, self._record), self._record)
            return self.publish()

    def keep(self, diagnosis: Diagnosis, of: FitState) -> None:
        """Hold a verdict on a record, if its parameters are still the present ones.

        Not while a run is going on, in a callback say: its parameters move on.

        Parameters
        ----------
        diagnosis : Diagnosis
            The verdict.
        of : FitState
            The record that was judged.
        """
        instance("diagnosis", diagnosis, Diagnosis, "a verdict, what diagnose() returns")
        instance("of", of, FitState, "the record that was judged")
        with self._turns.if_free() as free:
            if not free:
                return
            self._adopt()
            judged = replace(self._record, diagnosis=diagnosis, judged_data=data_read(of))
            if judged_as_before(judged, of) is judged:
                self._record = judged

    def advance(
        self,
        plan: Callable[[FitState], FitState],
        n: int,
        *,
        callbacks: Sequence[Callback] | None = None,
        restarts: int = 1,
        progressbar: bool = True,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Do ``n`` steps from a record that is made from the present one.

        A refusal, of the plan or of the model, until the first step begins, leaves everything as
        it was. What happens later keeps the last good state.

        Parameters
        ----------
        plan : callable
            Takes the present record and returns the one to go on from.
        n : int
            Steps.
        callbacks : sequence of callables, optional
            Callbacks of this run alone; the record's own by default.
        restarts : int
            Fits from so many starts, of which the best is kept.
        progressbar : bool
            Whether to show progress.
        checkpoint : Checkpoint, optional
            Where the state is written while steps are made. If it is there already, the run goes on
            from it.

        Raises
        ------
        DivergedError
            If a loss or a parameter stops being finite.
        RuntimeError
            As for :meth:`change`.
        """
        check_steps(n)
        check_count("restarts", restarts)
        flag("progressbar", progressbar)
        if checkpoint is not None:
            instance("checkpoint", checkpoint, Checkpoint, "what checkpoint_from() returns")
        hooks = None if callbacks is None else check_callbacks(callbacks)
        begun = False

        def commit(record: FitState) -> None:
            nonlocal begun
            self._record, begun = record, True

        with self.alone():
            self._adopt()
            try:
                planned = judged_as_before(_made("plan", plan, self._record), self._record)
                planned = replace(planned, diagnosis=None) if n else planned
                around = Around(
                    planned.callbacks if hooks is None else hooks,
                    progressbar,
                    commit,
                    self._publish_step,
                )
                self._record = run_kept(planned, n, restarts, around, checkpoint)
            except BaseException as error:
                if begun:
                    self._record = replace(self._record, status=failed(self._record, error))
                    self.publish()
                raise
            self._adopt()  # what the last callback has written, before it ended the run
            self.publish()
        if self._record.status.ending == "diverged":
            raise DivergedError(self._record.status.message, self)
        return self

    def check_idle(self) -> None:
        """Refuse to go on while a run is going on.

        Raises
        ------
        RuntimeError
            As for :meth:`change`.
        """
        with self.alone():
            pass

    def alone(self) -> AbstractContextManager[None]:
        """Keep every other change away; refuse where one is going on."""
        return self._turns.alone()

    def publish(self) -> Self:
        """Bring the shared variables up to date; done by the loop when a callback is due."""
        self._shared.show(reported_params(self._record))
        return self

    def _publish_step(self) -> Self:
        """The same within a run, whose parameters nobody else can set."""
        if written := self._shared.written():
            raise RuntimeError(
                f"Parameters were set during a run ({', '.join(written)}): its steps go on from "
                "their own. Stop the run (raise StopIteration), set them, and call refine()."
            )
        return self.publish()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """A pickle for any pickler: models hold functions that only cloudpickle can write."""
        return _unpickled, (type(self), cloudpickle.dumps(self.__getstate__()))

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: no thread, device or callback."""
        scale = self.scale_cost_to_minibatch
        return {"record": portable(self._record), "scale_cost_to_minibatch": scale}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.scale_cost_to_minibatch = state["scale_cost_to_minibatch"]
        self._open(restored(state["record"]))

    def __copy__(self) -> Self:
        """As a deep copy: two approximations never share their parameters."""
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """An independent copy of the approximation of the *same* model."""
        twin = type(self).of_record(copied(self._record))
        twin.scale_cost_to_minibatch = self.scale_cost_to_minibatch
        return twin


def _unpickled(cls: type[LiveRecord], state: bytes) -> LiveRecord:
    """The live object of a pickled state."""
    live = cls.__new__(cls)
    live.__setstate__(pickle.loads(state))
    return live


def _made(name: str, make: Callable[[FitState], FitState], record: FitState) -> FitState:
    """The next record, and nothing else: what would break at the next question is refused now."""
    made = function(name, make, "a function of a record that returns the next one", 1)(record)
    if not isinstance(made, FitState):
        raise TypeError(
            f"{name} must return the next record, a FitState (dataclasses.replace(record, ...)); "
            f"it returned {made!r}."
        )
    return made
