"""What a fit begins from: what was asked for, before anything was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm

from vi.approximation.record.groups import Group
from vi.families import Family
from vi.foundation.precision import resolve_dtype
from vi.models.density_model import DensityModel
from vi.targets.model.start import START_STD

__all__ = ["Beginning", "precision_of"]


@dataclass(frozen=True, eq=False)
class Beginning:
    """What an approximation is made of; ``restart`` begins from it again.

    Parameters
    ----------
    model : pymc.Model
        The model.
    family : Family or tuple of Group
        One family of all variables, or groups that have families of their own.
    dtype : numpy.dtype
        Precision of the whole fit.
    std : float
        Standard deviation of q at the start where none is given, unconstrained.
    draws : dict of arrays or None
        Draws that become particles, by variable, each ``(n, *shape)``; instead of noise.
    """

    model: pm.Model
    family: Family | tuple[Group, ...]
    dtype: np.dtype
    std: float = START_STD
    draws: Mapping[str, np.ndarray] | None = None


def precision_of(model: pm.Model, dtype: Any) -> np.dtype:
    """The precision that is asked for, or the widest one of the model's free variables.

    Raises
    ------
    ValueError
        If it is not a precision, or not that of a log density's ``init``.
    """
    if isinstance(model, DensityModel):
        if dtype is not None and resolve_dtype(dtype) != model.dtype:
            raise ValueError(
                f"dtype={dtype!r}, but the precision of a log density's fit is that of its init, "
                f"{model.dtype.name}. Make init of that type: "
                f"jax.tree.map(lambda leaf: np.asarray(leaf, {dtype!r}), init)."
            )
        return model.dtype
    if dtype is not None:
        return resolve_dtype(dtype)
    return np.result_type(*(np.dtype(value.dtype) for value in model.value_vars))
