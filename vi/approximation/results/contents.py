"""What draws hold by default: not what is dear because it needs all rows of minibatches."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.streamed_rows import row_variables
from vi.targets.batches.search import find_batches, has_batches, is_batch

__all__ = ["MOST_ENTRIES", "MOST_STORED", "Contents", "contents"]

MOST_ENTRIES = 10**9
"""Draws times entries of the data behind minibatches, above which log p and deterministics over the
rows are left out unless they are asked for: some seconds of one core's multiplications."""

MOST_STORED = 10**7
"""Entries of the data behind minibatches (80 MB) above which no copy of them goes to the draws."""


class Contents(NamedTuple):
    """What draws hold.

    Parameters
    ----------
    log_p : bool
        The log density of each draw.
    data : bool
        A copy of the data.
    rows : bool
        Deterministics over the rows of minibatches and streams.
    over_rows : frozenset of str
        Names of these deterministics.
    as_trained : bool
        Whether the other deterministics are in the steps' graph what they are in the model.
    left_out : list of str
        What is not there though nobody has said so, by name.
    """

    log_p: bool
    data: bool
    rows: bool
    over_rows: frozenset[str]
    as_trained: bool
    left_out: list[str]


def contents(
    fit: FitState,
    draws: int,
    *,
    log_prob: bool | None,
    store_data: bool | None,
    rows: bool | None,
    var_names: Collection[str] | None = None,
) -> Contents:
    """What so many draws hold: what was asked for; by default all that is not dear.

    Parameters
    ----------
    fit : FitState
        Whose draws they are.
    draws : int
        How many.
    log_prob, store_data, rows : bool, optional
        What was asked for.
    var_names : collection of str, optional
        Which variables were asked for; one over the rows is then no default that could be dear.
    """
    asked = {v.name for v in fit.model.deterministics} if var_names is None else set(var_names)
    if fit.data.stream is not None:
        # log p of a stream is not to be had in one call, whatever was asked for
        over_rows = frozenset(row_variables(fit))
        if rows is None:
            rows = var_names is not None and not asked.isdisjoint(over_rows)
        left_out = [] if rows else sorted(over_rows & asked)
        return Contents(False, store_data is not False, rows, over_rows, True, left_out)
    behind = fit.compiled("behind_minibatches", lambda: _behind_minibatches(fit))
    cheap = draws * behind.entries <= MOST_ENTRIES
    log_p = cheap if log_prob is None else log_prob
    data = behind.entries <= MOST_STORED if store_data is None else store_data
    if rows is None:
        rows = cheap or (var_names is not None and not asked.isdisjoint(behind.over_rows))
    left_out = [] if rows else sorted(behind.over_rows & asked)
    left_out += ["log_p"] if log_prob is None and not log_p else []
    left_out += ["data"] if store_data is None and not data else []
    return Contents(log_p, data, rows, behind.over_rows, behind.as_trained, left_out)


class _Behind(NamedTuple):
    """Numbers in the data behind minibatches, and what they mean for deterministics."""

    entries: int
    over_rows: frozenset[str]
    as_trained: bool


def _behind_minibatches(fit: FitState) -> _Behind:
    """What lies behind the minibatches of a fit, in the model or in the place of its data."""
    model, replaced = fit.model, fit.data.training.replacements
    reads = {v.name: set(ancestors([v])) for v in model.deterministics}
    if not has_batches(model, replaced.values()):
        exchanged = [name for name, graph in reads.items() if not graph.isdisjoint(replaced)]
        return _Behind(0, frozenset(), not exchanged)
    graphs = [*model.basic_RVs, *model.rvs_to_values.values(), *model.potentials]
    entries = 0
    for data, _ in find_batches([*graphs, *replaced.values()]).tensors.values():
        value = data.data if isinstance(data, Constant) else getattr(data, "get_value", None)
        value = value(borrow=True) if callable(value) else value
        entries += 0 if value is None else int(np.size(value))
    batches = {old for old, new in replaced.items() if any(map(is_batch, ancestors([new])))}
    over_rows = frozenset(
        name
        for name, graph in reads.items()
        if any(map(is_batch, graph)) or not graph.isdisjoint(batches)
    )
    others = [graph for name, graph in reads.items() if name not in over_rows]
    return _Behind(entries, over_rows, all(graph.isdisjoint(replaced) for graph in others))
