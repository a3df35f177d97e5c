"""A table of draws, with the row names of ArviZ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.contents import contents
from vi.approximation.results.draws import names_from, sample
from vi.foundation.numbers import check_count
from vi.foundation.seeds import resolve_seed

__all__ = ["summary"]

BLOCK = 2 * 10**7
"""Numbers that are drawn at once, 160 MB: variables are drawn one after the other beyond."""

ENTRIES = 10**6
"""Numbers that are sorted at once for quantiles: a copy of so many is small beside the draws."""


def summary(
    fit: FitState,
    draws: int = 4000,
    *,
    random_seed: Any = 0,
    var_names: Sequence[str] | None = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
) -> Any:
    """Constrained means, standard deviations and quantiles, computed from draws.

    Parameters
    ----------
    draws : int
        Number of draws behind the table; the Monte-Carlo error of a mean is ``sd /
        sqrt(draws)``.
    random_seed : int, optional
        Seed of the draws.
    var_names : sequence of str, optional
        Variables to show; all by default. ``"~x"`` leaves one out.
    quantiles : sequence of float
        Which quantiles to show, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a scalar; columns ``mean``, ``sd``, and of quantiles ``q5``, ``median``, ``q95``.
    """
    var_names = names_from(var_names)
    check_count("draws", draws)
    columns = _columns(quantiles)
    options: dict[str, Any] = {"log_prob": False, "store_data": False}
    options["random_seed"] = resolve_seed(random_seed)
    named = [name for name in var_names or () if not name.startswith("~")] or None
    options["rows"] = contents(
        fit, int(draws), log_prob=False, store_data=False, rows=None, var_names=named
    ).rows
    # their names and shapes count: weights of two draws would be told of, and used for nothing
    few = sample(fit, 2, resample=None, **options)["posterior"].to_dataset()
    names = _names(var_names, few)
    flags = {name: few[name].astype(float) for name in names}  # ArviZ has no means of booleans
    numbers = xr.DataTree.from_dict({"/posterior": few.assign(flags)})
    import arviz_stats  # it imports scipy.stats, a third of `import vi`

    table = arviz_stats.summary(numbers, var_names=names, kind="stats", round_to="none")[[]]
    parts = []
    for group in _groups(few[names], int(draws)):
        drawn = sample(fit, draws, var_names=group, **options)["posterior"]
        parts += [_rows(drawn[name].to_numpy(), columns) for name in group]
    values = np.concatenate(parts).T
    return table.assign(**dict(zip(("mean", "sd", *columns), values, strict=True)))


def _columns(quantiles: Sequence[float]) -> dict[str, float]:
    """Quantiles by the names of their columns."""
    values = np.asarray(quantiles)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "fiu"):
        raise ValueError(f"quantiles={quantiles!r}: give a list of numbers from 0 to 1.")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"quantiles={quantiles!r}: give numbers from 0 to 1.")
    return {"median" if q == 0.5 else f"q{100 * q:g}": float(q) for q in values}


def _names(names: Sequence[str] | None, posterior: xr.Dataset) -> list[str]:
    """The variables to show; refuse names that there are not."""
    unknown = [name for name in names or () if name.removeprefix("~") not in posterior]
    if unknown:
        raise ValueError(
            f"var_names has {', '.join(map(repr, unknown))}; the draws have "
            f"{', '.join(map(repr, posterior))}."
        )
    without = {name.removeprefix("~") for name in names or () if name.startswith("~")}
    chosen = [name for name in names or () if not name.startswith("~")] or [*map(str, posterior)]
    shown = [str(n) for n in chosen if n not in without and posterior[n].size]
    if not shown:
        raise ValueError(f"var_names={names!r} leaves no variable with an entry to show.")
    return shown


def _groups(few: xr.Dataset, draws: int) -> Iterator[list[str]]:
    """Names of variables that are drawn together."""
    group: list[str] = []
    size = 0
    for name, values in few.items():
        entries = draws * int(np.prod(values.shape[2:], dtype=int))
        if group and size + entries > BLOCK:
            yield group
            group, size = [], 0
        group.append(str(name))
        size += entries
    yield group


def _rows(values: np.ndarray, columns: dict[str, float]) -> np.ndarray:
    """The rows of a variable, of draws ``(chain, draw, *shape)``: one for each entry."""
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    step = max(1, ENTRIES // len(flat))
    starts = range(0, flat.shape[1], step)
    return np.concatenate(
        [_statistics(flat[:, i : i + step].astype(float), columns) for i in starts]
    )


def _statistics(values: np.ndarray, columns: dict[str, float]) -> np.ndarray:
    """Mean, standard deviation and quantiles of draws ``(S, entries)``, one row an entry."""
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return np.column_stack(
        [values.mean(axis=0), sd, *np.quantile(values, list(columns.values()), axis=0)]
    )
