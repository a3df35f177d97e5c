"""Models as people write them, on data made up here: what a default has to hold on."""

from . import hierarchies, latent, regressions, series, survival
from .registry import INVARIANT, USER_MODELS

__all__ = ["INVARIANT", "USER_MODELS", "hierarchies", "latent", "regressions", "series", "survival"]
