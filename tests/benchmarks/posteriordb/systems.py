"""The systems that are compared: their names, where they are, and what a fit of one is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pymc as pm
import xarray as xr

__all__ = ["DRAWS", "NEEDS", "SYSTEMS", "Fitted", "System", "Time", "seconds_of"]

DRAWS = 8_000
"""Draws of q behind its moments; means are known to 0.011 sds."""

SYSTEMS = {
    "vi auto": "vi_methods",
    "vi advi": "vi_methods",
    "vi fullrank_advi": "vi_methods",
    "vi lowrank_advi": "vi_methods",
    "vi bam": "vi_methods",
    "vi dadvi": "vi_methods",
    "vi laplace": "vi_methods",
    "vi pathfinder": "vi_methods",
    "pm.fit advi": "peers_pymc",
    "pm.fit fullrank_advi": "peers_pymc",
    "pymc-extras advi": "peers_pymc",
    "pymc-extras dadvi": "peers_pymc",
    "pymc-extras pathfinder": "peers_pymc",
    "pymc-extras laplace": "peers_pymc",
    "NumPyro AutoNormal": "peers_jax",
    "NumPyro AutoMultivariateNormal": "peers_jax",
    "NumPyro AutoIAFNormal": "peers_jax",
    "BlackJAX pathfinder": "peers_jax",
    "NUTS (nutpie)": "peers_pymc",
}
"""The module of each system; its ``FITS`` has the function."""

NEEDS = {
    "vi_methods": ("vi",),
    "peers_pymc": ("pymc_extras", "nutpie"),
    "peers_jax": ("numpyro", "blackjax"),
}
"""What has to be installed for a module."""


class Time(NamedTuple):
    """Seconds by two clocks; on a machine that does other things as well only the second holds.

    Parameters
    ----------
    wall : float
        By the clock on the wall.
    processor : float
        That processors worked, added over threads and processes that have ended.
    """

    wall: float
    processor: float

    @classmethod
    def now(cls) -> Time:
        """The clocks."""
        return cls(time.perf_counter(), sum(os.times()[:4]))

    def __sub__(self, other: Time) -> Time:
        return Time(self.wall - other.wall, self.processor - other.processor)

    def plus(self, other: Time) -> Time:
        """The sum."""
        return Time(self.wall + other.wall, self.processor + other.processor)


@dataclass(frozen=True)
class Fitted:
    """A fit that has ended.

    Parameters
    ----------
    draw : callable
        Returns draws in the variables of the model, with the dimensions chain and draw.
    seconds : Time
        From the built model to the end of the fit: conversion and compilation included, imports
        not.
    running : Time, optional
        Of these, what compiling does not take, where a system has the two apart.
    again : callable, optional
        A second fit of the same built model from another seed, where it has not: what is compiled
        once is not compiled again, and its seconds stand in `running`'s place.
    gradients : int, optional
        Evaluations of the gradient, where they are known.
    facts : callable
        Returns what else is known, such as a verdict; not timed.
    """

    draw: Callable[[], xr.Dataset]
    seconds: Time
    running: Time | None = None
    again: Callable[[], object] | None = None
    gradients: int | None = None
    facts: Callable[[], dict[str, Any]] = field(default=dict)


type System = Callable[[pm.Model, int], Fitted]
"""Fits a model from a seed."""


def seconds_of(work: Callable[[], Any]) -> tuple[Any, Time]:
    """What a call returns, and the seconds it took."""
    began = Time.now()
    result = work()
    return result, Time.now() - began
