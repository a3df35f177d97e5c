"""An entry of the table of models, and the names of scalars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pymc as pm
import xarray as xr
from data import Data, Draws

__all__ = ["Entry", "scalars"]


@dataclass(frozen=True)
class Entry:
    """A model of posteriordb.

    Parameters
    ----------
    build : callable
        Takes the Stan data, returns the PyMC model.
    free : callable
        Takes draws of what the reference has, returns draws of the model's free variables too.
    """

    build: Callable[[Data], pm.Model]
    free: Callable[[Draws], Draws]

    @classmethod
    def plain(cls, build: Callable[[Data], pm.Model]) -> Entry:
        """An entry whose reference has the free variables themselves."""
        return cls(build, lambda draws: draws)


def scalars(posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Draws of the scalars, under Stan's names: "theta[1]", "x[2,1]".

    Parameters
    ----------
    posterior : Dataset
        Variables with the dimensions chain and draw, as in the group of that name.

    Returns
    -------
    dict of ndarray
        The draws of all chains, one chain after the other.
    """
    named = {}
    for variable, array in posterior.data_vars.items():
        values = array.transpose("chain", "draw", ...).values
        values = values.reshape(-1, *values.shape[2:])
        for place in np.ndindex(values.shape[1:]):
            numbers = ",".join(str(i + 1) for i in place)
            named[f"{variable}[{numbers}]" if place else str(variable)] = values[:, *place]
    return named
