"""The model zoo: small PyMC models, one for each kind of graph that the library meets."""

# Importing a file registers its models.
from . import (  # noqa: F401
    censored,
    continuous,
    dims,
    gps,
    hierarchies,
    mixtures,
    multivariate,
    ode_like,
    operations,
    refused,
    regressions,
    structures,
    timeseries,
    transforms,
)
from .registry import Entry, entries, model

__all__ = ["Entry", "entries", "model"]
