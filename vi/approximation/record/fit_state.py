"""What a fit knows: one plain record, without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from vi.algorithms import Algorithm, State
from vi.approximation.record.beginning import Beginning
from vi.approximation.record.local_groups import LocalGroup
from vi.approximation.record.training_data import TrainingData
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import Status
from vi.families import Family, Params
from vi.foundation.devices import Devices
from vi.foundation.kept import Keeper
from vi.foundation.layout import Layout

__all__ = ["FitState"]

type Callback = Callable[[Any, Any, int], Any]

NOTHING_YET = Status("initialised", 0, "nothing was fitted yet.")


@dataclass(frozen=True, eq=False)
class FitState(Keeper):
    """Everything that a fit knows, at one moment.

    Functions take a record and return a record; nothing changes one. The live
    :class:`vi.Approximation` holds the present one and swaps it for the next, so that a copy, a
    file, a refused call and a failed run are questions of which record is held.

    Parameters
    ----------
    beginning : Beginning
        What was asked for: model, family or groups, precision.
    family : Family
        The family of q.
    layout : Layout
        Where each variable lies in the flat vector of length ``D``.
    point : dict of arrays
        The model's point where the fit starts, by value variable.
    seed : int
        Seed of everything random in the fit.
    start : dict of arrays
        Parameters of q before the first step.
    free_mean : numpy.ndarray or None
        Whether nobody said where q starts, for each entry ``(D,)``; ``None`` where parameters were
        set or found.
    given_std : numpy.ndarray or None
        How wide q was told to start, ``(D,)``, NaN where nobody said; ``None`` as above.
    local : tuple of LocalGroup
        The parts whose variables have an entry for every row of data.
    data : TrainingData
        What is trained on, and what everything else reads.
    backend : str
        What evaluates the log density: ``"auto"``, ``"jax"`` or ``"pytensor"``.
    devices : Devices or None
        What shares the fit.
    algorithm : Algorithm or None
        How it learns; ``None`` before the first fit, and where it was found in one go.
    run : State or None
        Everything that steps change, a pytree.
    warm_start : bool
        Whether a search over fixed draws comes before the first step.
    callbacks : tuple of callables
        What ``refine`` goes on with.
    keep_losses : bool
        Whether the loss of each step is kept.
    include_transformed : bool
        Whether draws hold the unconstrained values too.
    losses : numpy.ndarray
        The loss of every step so far, ``(steps,)``, read-only.
    losses_before : int
        How many of these are of other stages or algorithms, which say nothing of the present
        one.
    seconds : float
        What the steps took in this process, by the clock on the wall.
    status : Status
        How the last run ended.
    notes : dict
        What a method without steps says of its result, as plain values.
    starts : xarray.Dataset or None
        What a fit from several starts found.
    stages : tuple of Stage
        What a fit that chooses its method has tried.
    resample : str or None
        How draws are made to stand for the posterior where nobody says how, as in ``sample``.
    log_p_of_mean : float
        Log p at the mean of q when that was decided: another one is that of other data.
    diagnosis : Diagnosis or None
        The last verdict on the parameters; whoever changes them drops it.
    judged_data, compared_data : dict
        Hashes of the data of the verdict, and of the fit from several starts, by name; empty where
        nothing is known.
    """

    beginning: Beginning
    family: Family
    layout: Layout
    point: Mapping[str, np.ndarray]
    seed: int
    start: Params
    free_mean: np.ndarray | None = None
    given_std: np.ndarray | None = None
    local: tuple[LocalGroup, ...] = ()
    data: TrainingData = field(default_factory=TrainingData)
    backend: str = "auto"
    devices: Devices | None = None
    algorithm: Algorithm | None = None
    run: State | None = None
    warm_start: bool = False
    callbacks: tuple[Callback, ...] = ()
    keep_losses: bool = True
    include_transformed: bool = False
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))
    losses_before: int = 0
    seconds: float = 0.0
    status: Status = NOTHING_YET
    notes: Mapping[str, Any] = field(default_factory=dict)
    starts: xr.Dataset | None = None
    stages: tuple[Stage, ...] = ()
    resample: str | None = None
    log_p_of_mean: float = np.nan
    diagnosis: Diagnosis | None = None
    judged_data: Mapping[str, str] = field(default_factory=dict)
    compared_data: Mapping[str, str] = field(default_factory=dict)

    @property
    def own_losses(self) -> np.ndarray:
        """The losses of the present stage and algorithm."""
        return self.losses[self.losses_before :]

    @property
    def model(self) -> pm.Model:
        """The model that is approximated."""
        return self.beginning.model

    @property
    def dtype(self) -> np.dtype:
        """Precision of the fit."""
        return self.beginning.dtype
