"""PyMC models of posteriors in posteriordb.

The posteriors are those of posteriordb (https://github.com/stan-dev/posteriordb, BSD-3-Clause,
commit 28f8d3d). The models are written from the mathematics of its Stan programs, whose code is
not here; variables keep their names. ``validate.py`` compares the models with the references.
"""

from __future__ import annotations

import hierarchies
import pymc as pm
import regressions
import time_series
from data import Data, Draws
from registry import Entry, scalars

__all__ = ["MODELS", "build", "free", "model_of", "scalars"]

MODELS: dict[str, Entry] = regressions.MODELS | hierarchies.MODELS | time_series.MODELS
"""By the model's name in posteriordb."""


def model_of(posterior: str) -> str:
    """The model's name in a posterior's."""
    return posterior.split("-", 1)[1]


def build(posterior: str, data: Data) -> pm.Model:
    """The model of a posterior."""
    return MODELS[model_of(posterior)].build(data)


def free(posterior: str, draws: Draws) -> Draws:
    """Draws of the model's free variables, from draws of the reference's parameters."""
    return MODELS[model_of(posterior)].free(draws)
