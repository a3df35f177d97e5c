"""Where the time of a run goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO, Any

import jax

from vi.approximation import Approximation
from vi.approximation.record.begin import with_algorithm
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of
from vi.approximation.steps.run import run_of
from vi.targets.from_pymc import check_backend

__all__ = ["Profile", "profiled"]


@dataclass(frozen=True)
class Profile:
    """Where the time of a run goes.

    Parameters
    ----------
    first_call : float
        Seconds until the first step: conversion of the model and compilation.
    per_step : float
        Seconds a step after that.
    steps : int
        Steps timed.
    """

    first_call: float
    per_step: float
    steps: int

    def __str__(self) -> str:
        return (
            f"first call {self.first_call:.2f} s, then {self.per_step * 1e6:.2f} us a step over "
            f"{self.steps:,} steps (inside a step: jax.profiler.trace)"
        )

    def summary(self, file: IO[str] | None = None) -> None:
        """Write the times as a line of text, to ``sys.stderr`` unless a file is given."""
        if file is not None and not hasattr(file, "write"):
            raise TypeError(f"file={file!r}: give a file that is open for writing.")
        print(self, file=sys.stderr if file is None else file)


def profiled(
    approx: Approximation, make: Callable[[], Any], n: int, backend: str | None
) -> Profile:
    """Time ``n`` steps from the present record of an approximation.

    Parameters
    ----------
    approx : Approximation
        The approximation, which stays what it is.
    make : callable
        Makes the algorithm, where nothing was fitted yet.
    n : int
        Steps, checked.
    backend : str or None
        What evaluates the model meanwhile; that of the fit by default.
    """
    with approx.alone():  # a stream has one reader
        fit = approx.record
        if backend is not None:
            fit = replace(fit, backend=check_backend(backend))
        if fit.run is None:
            fit = with_algorithm(fit, make())
        return _timed(fit, n)


def _timed(fit: FitState, n: int) -> Profile:
    """Time ``n`` steps from a record, which stays what it is: the state after them is thrown away.

    The run ends early where a value stops being finite.
    """
    began = time.perf_counter()
    run = run_of(fit, target_of(fit, "steps"))
    try:
        inputs, until = run.supply.at(run.step)
        run.advance(inputs, 1)
        compiled = time.perf_counter()
        done = 0
        while done < n:
            if run.step >= until:
                inputs, until = run.supply.at(run.step)
            losses, finite = run.advance(inputs, min(n - done, until - run.step))
            done += len(losses)
            if not finite:
                break
        jax.block_until_ready(run.state.params)
    finally:
        run.close()
    return Profile(compiled - began, (time.perf_counter() - compiled) / max(done, 1), done)
