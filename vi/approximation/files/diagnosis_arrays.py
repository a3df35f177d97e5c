"""A verdict as arrays of a file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from vi.diagnostics.diagnosis import Diagnosis

__all__ = ["diagnosis_arrays", "diagnosis_from"]

PREFIX = "diagnosis/"
MODES = "mode"


def diagnosis_arrays(diagnosis: Diagnosis) -> dict[str, np.ndarray]:
    """The tables as arrays by name; the attributes are text of the file."""
    dataset = diagnosis.to_dataset()
    arrays = {f"{PREFIX}{name}": value.to_numpy() for name, value in dataset.items()}
    if MODES in dataset.coords:
        arrays[f"{PREFIX}{MODES}"] = dataset[MODES].to_numpy().astype(str)
    return arrays


def diagnosis_from(
    arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any] | None, labels: list[str]
) -> Diagnosis | None:
    """The verdict that a file holds, on these coordinates; older files hold none."""
    if attributes is None:
        return None
    own = {n.removeprefix(PREFIX): v for n, v in arrays.items() if n.startswith(PREFIX)}
    coords = {"unconstrained": labels}
    modes = own.pop(MODES, None)
    if modes is not None:
        coords[MODES] = [str(name) for name in modes]
    variables = {}
    for name, value in own.items():
        dims = [MODES] if name.startswith(f"{MODES}_") else []
        dims += ["unconstrained"] * (value.ndim - len(dims))
        variables[name] = (dims, value)
    return Diagnosis.from_dataset(xr.Dataset(variables, coords, dict(attributes)))
