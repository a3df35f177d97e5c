"""What draws hold by default: not what is dear because it needs all rows of minibatches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Constant

from vi.approximation.record.fit_state import FitState
from vi.approximation.results.streamed_rows import row_variables
from vi.targets.batches.search import find_batches, has_batches

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
    left_out : list of str
        What is not there though nobody has said so, by name.
    """

    log_p: bool
    data: bool
    rows: bool
    over_rows: frozenset[str]
    left_out: list[str]


def contents(
    fit: FitState, draws: int, *, log_prob: bool | None, store_data: bool | None, rows: bool | None
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
    """
    deterministics = {variable.name for variable in fit.model.deterministics}
    if fit.data.stream is not None:
        # log p of a stream is not to be had in one call, whatever was asked for
        over_rows = frozenset(row_variables(fit))
        left_out = [] if rows else sorted(over_rows & deterministics)
        return Contents(False, store_data is not False, bool(rows), over_rows, left_out)
    entries, over_rows = fit.compiled("behind_minibatches", lambda: _behind_minibatches(fit))
    cheap = draws * entries <= MOST_ENTRIES
    log_p = cheap if log_prob is None else log_prob
    data = entries <= MOST_STORED if store_data is None else store_data
    rows = cheap if rows is None else rows
    left_out = [] if rows else sorted(over_rows)
    left_out += ["log_p"] if log_prob is None and not log_p else []
    left_out += ["data"] if store_data is None and not data else []
    return Contents(log_p, data, rows, over_rows, left_out)


def _behind_minibatches(fit: FitState) -> tuple[int, frozenset[str]]:
    """How many numbers lie behind the minibatches of a fit, and which deterministics see them."""
    model, replaced = fit.model, fit.data.training.replacements
    if not has_batches(model, replaced.values()):
        return 0, frozenset()
    graphs = [*model.basic_RVs, *model.rvs_to_values.values(), *model.potentials]
    entries = 0
    for data, _ in find_batches([*graphs, *replaced.values()]).tensors.values():
        value = data.data if isinstance(data, Constant) else getattr(data, "get_value", None)
        value = value(borrow=True) if callable(value) else value
        entries += 0 if value is None else int(np.size(value))
    return entries, frozenset(v.name for v in model.deterministics if find_batches([v]).tensors)
