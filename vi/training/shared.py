"""One run that several devices share, in one process or in several."""

from __future__ import annotations

from vi.algorithms.base import Algorithm, State
from vi.foundation.devices import Devices
from vi.foundation.precision import precision
from vi.targets.base import Target
from vi.training.history import History
from vi.training.one import runner_for
from vi.training.run import Run
from vi.training.supply import Supply

__all__ = ["SharedRun"]


class SharedRun(Run):
    """A run whose rows are divided over devices, each of which holds the whole state.

    Parameters
    ----------
    target : Target
        The log density on the devices (:func:`vi.targets.backends.sharded.shared_by`).
    algorithm : Algorithm
        What learns from it.
    state : State
        Where it starts, the same in every process.
    supply : Supply
        The data.
    history : History or None
        The trace of losses, extended in place.
    devices : Devices
        The devices.
    """

    def __init__(
        self,
        target: Target,
        algorithm: Algorithm,
        state: State,
        supply: Supply,
        history: History | None,
        devices: Devices,
    ) -> None:
        self._devices = devices
        with precision(target.dtype):
            on_devices = devices.replicate(state)
        super().__init__(
            runner_for(target, algorithm),
            on_devices,
            supply,
            history,
            step=int(state.step),
            dtype=target.dtype,
        )

    @property
    def state(self) -> State:
        # one device's copy, without a copy: what reads it waits for no other process
        state: State = self._devices.local(self._state)
        return state

    @property
    def leads(self) -> bool:
        return self._devices.leads

    def agree(self, seconds: float, ending: int) -> tuple[float, int]:
        if not self._devices.several_processes:
            return seconds, ending
        longest, last = self._devices.largest([seconds, ending])
        return longest, int(last)
