"""What a fit in stages has tried: one row a stage, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["Stage", "stages_to_dataset", "table_of_stages"]


@dataclass(frozen=True)
class Stage:
    """A stage of a fit that chooses its method.

    Parameters
    ----------
    stage : str
        Its name.
    elbo, elbo_error : float
        The ELBO from fresh draws at its end, and its standard error; NaN where there is none.
    pareto_k : float
        Of the importance weights; NaN where they were not looked at.
    gradients : int
        Gradients that it took.
    seconds : float
        By the clock on the wall, compilation included.
    outcome : str
        How it ended, and why the fit went on or did not.
    kept : bool
        Whether the fit went on from where it ended; else from where it began.
    """

    stage: str
    elbo: float = np.nan
    elbo_error: float = np.nan
    pareto_k: float = np.nan
    gradients: int = 0
    seconds: float = 0.0
    outcome: str = ""
    kept: bool = True


COLUMNS = [field.name for field in fields(Stage)]
"""The columns of a table of stages."""


def stages_to_dataset(stages: Sequence[Stage]) -> xr.Dataset:
    """The stages as a table along ``stage``, in their order."""
    rows = [asdict(stage) for stage in stages]
    return xr.Dataset(
        {f"stage_{name}": ("stage", [row[name] for row in rows]) for name in COLUMNS[1:]},
        coords={"stage": [f"{i + 1} {row['stage']}" for i, row in enumerate(rows)]},
    )


def table_of_stages(stages: Sequence[Stage]) -> Any:
    """The stages as a pandas.DataFrame, a row each."""
    values = {name: ("row", [getattr(stage, name) for stage in stages]) for name in COLUMNS}
    return (
        xr.Dataset(values, coords={"row": range(len(stages))})
        .to_dataframe()[COLUMNS]
        .reset_index(drop=True)
    )
