"""A table of draws, by ArviZ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr
from arviz_stats import summary

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.draws import sample

__all__ = ["summarize"]


def summarize(
    fit: FitState,
    draws: int = 4000,
    *,
    random_seed: Any = 0,
    var_names: Sequence[str] | None = None,
) -> Any:
    """Constrained means, standard deviations and 5, 50 and 95 % quantiles, computed from draws.

    Parameters
    ----------
    draws : int
        Number of draws behind the table; the Monte-Carlo error of a mean is ``sd /
        sqrt(draws)``.
    random_seed : int, optional
        Seed of the draws.
    var_names : sequence of str, optional
        Variables to show; all by default.

    Returns
    -------
    pandas.DataFrame
        One row a scalar, columns ``mean``, ``sd``, ``q5``, ``median``, ``q95``.
    """
    if isinstance(var_names, str):
        var_names = [var_names]
    if var_names is not None and not (
        isinstance(var_names, Sequence) and all(isinstance(name, str) for name in var_names)
    ):
        raise TypeError(f"var_names={var_names!r}: give a list of names of variables.")
    table = sample(fit, draws, random_seed=random_seed, log_prob=False, store_data=False)
    return _table(table, var_names)


def _check_names(names: Sequence[str] | None, posterior: xr.Dataset) -> None:
    """Refuse names that there are not; ``"~x"`` leaves one out."""
    unknown = [name for name in names or () if name.removeprefix("~") not in posterior]
    if unknown:
        raise ValueError(
            f"var_names has {', '.join(map(repr, unknown))}; the draws have "
            f"{', '.join(map(repr, posterior))}."
        )


def _table(draws: xr.DataTree, var_names: Sequence[str] | None) -> Any:
    """Means, standard deviations and quantiles of the posterior group, a pandas.DataFrame."""
    if var_names is not None and len(var_names) == 0:
        raise ValueError(
            "var_names is empty; name the variables to show, or leave it out to show all."
        )
    posterior = draws["posterior"].to_dataset()
    _check_names(var_names, posterior)
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
