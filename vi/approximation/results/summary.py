"""A table of draws, by ArviZ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr
from arviz_stats import summary

__all__ = ["summary_table"]


def summary_table(draws: xr.DataTree, var_names: Sequence[str] | None) -> Any:
    """Means, standard deviations and quantiles of the posterior group, a pandas.DataFrame."""
    if isinstance(var_names, str):
        var_names = [var_names]
    if var_names is not None and len(var_names) == 0:
        raise ValueError(
            "var_names is empty; name the variables to show, or leave it out to show all."
        )
    posterior = draws["posterior"].to_dataset()
    flags = {name: value.astype(float) for name, value in posterior.items() if value.dtype == bool}
    draws = xr.DataTree.from_dict({"/posterior": posterior.assign(flags)})
    # ArviZ cannot stack variables of size zero
    names = (
        [str(name) for name in posterior if posterior[name].size]
        if var_names is None
        else list(var_names)
    )
    options = {"var_names": names, "ci_prob": 0.9, "ci_kind": "eti", "round_to": "none"}
    table = summary(draws, kind="stats", **options)
    median = summary(draws, kind="stats_median", **options)["median"]
    low, high = (column for column in table.columns if column not in ("mean", "sd"))
    table = table.rename(columns={low: "q5", high: "q95"}).assign(median=median)
    return table[["mean", "sd", "q5", "median", "q95"]]
