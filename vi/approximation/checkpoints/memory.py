"""What a run knows beyond its record, as arrays and plain values, and back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vi.algorithms import State
from vi.approximation.record.copies import state_from_numpy, state_to_numpy
from vi.approximation.record.fit_state import FitState
from vi.foundation.precision import precision
from vi.training.best import Best
from vi.training.run import Run
from vi.training.several import SeveralRuns, at_one_step

__all__ = [
    "callbacks_known",
    "leaves_of",
    "remember",
    "remembered",
    "restore_callbacks",
    "runs_from",
    "state_from",
]

logger = logging.getLogger("vi")

type Arrays = dict[str, np.ndarray]


def remember(run: Run, best: Best | None) -> tuple[Arrays, dict[str, Any]]:
    """What is needed to go on bit for bit beside the state that leads.

    The states of several runs, the best one, and what was counted.

    Parameters
    ----------
    run : Run
        The run.
    best : Best or None
        What looks for the best state.

    Returns
    -------
    tuple
        Arrays by name, and a table that JSON can hold.
    """
    arrays: Arrays = {}
    table: dict[str, Any] = {"skipped": run.skipped}
    if isinstance(run, SeveralRuns):
        for number in range(run.count):
            arrays |= leaves_of(run.state_of(number), f"runs/{number}")
        table["failed"] = list(run.failed)
    if best is not None:
        arrays["best/window"] = best.window
        table["best"] = {"step": best.step, "lowest": best.lowest}
        if best.state is not None:
            arrays |= leaves_of(best.state, "best/state")
    return arrays, table


def remembered(
    fit: FitState, arrays: Arrays, table: Mapping[str, Any], run: Run, best: Best | None
) -> None:
    """Let a run that is about to begin go on from what another one knew.

    Parameters
    ----------
    fit : FitState
        The record to go on from; its state says how one is built.
    arrays, table
        What :func:`remember` returned.
    run, best
        What goes on.
    """
    assert fit.run is not None
    run.skipped = int(table["skipped"])
    if isinstance(run, SeveralRuns):
        run.go_on(_runs(fit, arrays), table["failed"], arrays["traces"])
    if best is not None and "best" in table:
        has_state = any(name.startswith("best/state/") for name in arrays)
        lowest = table["best"]["lowest"]
        best.go_on(
            arrays["best/window"],
            state_from(fit, arrays, "best/state") if has_state else None,
            int(table["best"]["step"]),
            None if lowest is None else (lowest[0], lowest[1]),
        )


def runs_from(fit: FitState, arrays: Arrays) -> list[State]:
    """The states of several runs, those that have failed at the step of the others."""
    return at_one_step(_runs(fit, arrays))


def _runs(fit: FitState, arrays: Arrays) -> list[State]:
    count = len({name.split("/")[1] for name in arrays if name.startswith("runs/")})
    return [state_from(fit, arrays, f"runs/{number}") for number in range(count)]


def state_from(fit: FitState, arrays: Arrays, prefix: str = "state") -> State:
    """A state of a file, built as the one of the record is.

    The one that leads is there by the names that every file has, where it holds one.

    Raises
    ------
    ValueError
        If the file has one of other parts or shapes.
    """
    assert fit.run is not None
    leaves, structure = jax.tree.flatten(state_to_numpy(fit.run))
    names = [f"{prefix}/{number}" for number in range(len(leaves))]
    if prefix == "state" and "step" in arrays:
        names = _names_in_every_file(fit.run)
    stored = [arrays.get(name) for name in names]
    for leaf, there in zip(leaves, stored, strict=True):
        if there is None or there.shape != leaf.shape or there.dtype != leaf.dtype:
            shown = "nothing" if there is None else f"{there.dtype} {there.shape}"
            raise ValueError(f"its state has {shown} where this one has {leaf.dtype} {leaf.shape}")
    with precision(fit.dtype):
        state: State = jax.tree.map(jax.numpy.asarray, jax.tree.unflatten(structure, stored))
        return state_from_numpy(state)


def callbacks_known(callbacks: Sequence[Any]) -> tuple[Arrays, list[dict[str, Any]]]:
    """What callbacks with ``get_state`` know: arrays, and a table of the rest."""
    arrays: Arrays = {}
    table = []
    for number, callback in enumerate(callbacks):
        plain = {}
        for name, value in (callback.get_state() if _has_state(callback) else {}).items():
            if isinstance(value, np.ndarray):
                arrays[f"callbacks/{number}/{name}"] = value
            else:
                plain[name] = value
        table.append({"kind": _kind(callback), "values": plain})
    return arrays, table


def restore_callbacks(
    callbacks: Sequence[Any], arrays: Arrays, table: Sequence[Mapping[str, Any]]
) -> None:
    """Let callbacks know what those of the file knew; the log names those that begin anew."""
    states = [
        dict(known["values"])
        | {
            name.removeprefix(f"callbacks/{number}/"): value
            for name, value in arrays.items()
            if name.startswith(f"callbacks/{number}/")
        }
        for number, known in enumerate(table)
    ]
    if [_kind(callback) for callback in callbacks] != [known["kind"] for known in table]:
        if any(states):
            logger.warning("The callbacks are not those of the checkpoint, and begin anew.")
        return
    anew = []
    for callback, state in zip(callbacks, states, strict=True):
        if state and _has_state(callback):
            callback.set_state(state)
        elif not _has_state(callback):
            anew.append(_kind(callback))
    if anew:
        logger.info("Not in a checkpoint is what these callbacks know: %s.", ", ".join(anew))


def _has_state(callback: Any) -> bool:
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _kind(callback: Any) -> str:
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def leaves_of(state: State, prefix: str = "state") -> Arrays:
    """The leaves of a state by their numbers."""
    leaves = jax.tree.leaves(state_to_numpy(state))
    return {f"{prefix}/{number}": np.asarray(leaf) for number, leaf in enumerate(leaves)}


def _names_in_every_file(state: State) -> list[str]:
    """Under which names a file has the leaves of its state."""
    parts = (("optimizer", state.optimizer), ("average", state.average))
    numbered = [f"{name}/{i}" for name, part in parts for i in range(len(jax.tree.leaves(part)))]
    return [*(f"params/{name}" for name in sorted(state.params)), *numbered, "key", "step"]
