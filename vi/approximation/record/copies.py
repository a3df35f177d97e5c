"""Copies of a record: within the process, and as what a pickle or a file can hold."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.algorithms import State
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.training_data import lost_data
from vi.diagnostics.status import Status

__all__ = ["copied", "portable", "restored", "state_from_numpy", "state_to_numpy"]


def state_to_numpy(state: State) -> State:
    """The state with NumPy leaves and the key as its raw data."""
    return jax.tree.map(np.array, state._replace(key=jax.random.key_data(state.key)))  # type: ignore[no-any-return]


def state_from_numpy(state: State) -> State:
    """The inverse of :func:`state_to_numpy`."""
    return state._replace(key=jax.random.wrap_key_data(jax.numpy.asarray(state.key)))


def copied(fit: FitState) -> FitState:
    """A record that shares nothing with the run that goes on: arrays and loss trace of its own."""
    run = None if fit.run is None else state_from_numpy(state_to_numpy(fit.run))
    # NumPy's arrays: JAX's would be float32 outside of the precision of the fit
    start: dict[str, Any] = {name: np.array(value) for name, value in fit.start.items()}
    return replace(
        fit,
        point=copy.copy(fit.point),
        start=start,
        run=run,
        losses=np.array(fit.losses),
        status=_status_of_a_copy(fit),
    )


def portable(fit: FitState) -> FitState:
    """The record without what cannot leave the process: threads, devices, callbacks."""
    data = fit.data
    if data.stream is not None:
        data = replace(data, stream=None, missing=lost_data("data=", "pickle"))
    run = None if fit.run is None else state_to_numpy(fit.run)
    return replace(copied(fit), run=run, data=data, callbacks=(), devices=None)


def restored(fit: FitState) -> FitState:
    """The inverse of :func:`portable`, as far as there is one."""
    return fit if fit.run is None else replace(fit, run=state_from_numpy(fit.run))


def _status_of_a_copy(fit: FitState) -> Status:
    """A copy is never running."""
    if fit.status.ending != "running":
        return fit.status
    return Status(
        "interrupted", fit.status.step, "a copy made during a run; refine() goes on from here."
    )
