"""Where the time of a run goes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Profile"]


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
            f"first call {self.first_call:.2f} s, then {self.per_step * 1e6:.2f} us a step over {self.steps:,} steps "
            "(inside a step: jax.profiler.trace)"
        )
