"""Data that have changed since they were read: seen, and refused where they cannot be had."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, get_args

from vi.approximation.record.fit_state import FitState
from vi.foundation.arrays import refuse_masked
from vi.foundation.tracing_errors import first_line
from vi.targets.batches.search import find_batches
from vi.targets.cache import cache_of, check_shapes
from vi.targets.model.data_watch import DataWatch, names_of
from vi.targets.model.facts import watched
from vi.targets.model.initial_density import check_deterministics, check_initial_density

__all__ = [
    "Use",
    "check_present_data",
    "refuse_changed_data",
    "refuse_masked_data",
    "watch_data",
]

type Use = Literal["steps", "log_prob", "draws"]
"""What data are read for: each has more to look at than the next.

Steps need a log density that is finite, values of log p one that can be evaluated, and draws need
deterministics alone: predictors for predictions have other lengths than the observations.
"""

logger = logging.getLogger("vi")


def watch_data(fit: FitState) -> None:
    """Watch the data of the model from now on: they have just been looked at."""
    refuse_masked_data(fit)
    shared = watched(fit.model)
    cache_of(fit.model).watches |= {use: DataWatch(shared) for use in get_args(Use.__value__)}


def refuse_masked_data(fit: FitState) -> None:
    """Refuse containers and shared variables that hold masked arrays.

    PyMC makes one of data that hold NaN; compiled code would read what is under the mask.
    """
    for variable in watched(fit.model):
        value = variable.get_value(borrow=True)
        refuse_masked(value, f"What {variable.name or 'a shared variable'!r} holds")


def check_present_data(fit: FitState, use: Use) -> None:
    """Look at the model's data where they are others than at the last look.

    The only place that knows what may have changed between two calls; a run asks its supply in the
    same way between two chunks.

    Parameters
    ----------
    fit : FitState
        Whose model it is.
    use : {"steps", "log_prob", "draws"}
        What the data are read for. For steps, minibatches that replace them are looked at too.

    Raises
    ------
    ValueError
        If the model cannot be evaluated with the data: an index does not exist, lengths do not
        fit together.
    """
    watches = cache_of(fit.model).watches
    if use not in watches:  # of a file, say: nobody has looked yet
        watch_data(fit)
        refuse_changed_data(fit, [], use)
        return
    watch = watches[use]
    changed = watch.changed()
    if changed:
        if doubtful := watch.doubtful():
            refuse_changed_data(fit, names_of(doubtful), use)
        watch.accept()
        names = ", ".join(names_of(changed))
        logger.info("The data have changed (%s); the present ones count from now on.", names)
    if use == "steps":
        find_batches(list(fit.data.training.replacements.values()))  # refuses lengths that differ


def refuse_changed_data(fit: FitState, names: Sequence[str], use: Use) -> None:
    """Refuse data with which what they are read for cannot be computed.

    Raises
    ------
    ValueError
        With the names of what has changed, and what is wrong; PyMC makes masked arrays of those
        that hold NaN.
    """
    refuse_masked_data(fit)
    if names and use != "draws":
        check_shapes(fit.model, fit.point)  # a variable that follows the data: a new fit is needed
    try:
        if use == "draws":
            check_deterministics(fit.model, fit.point)
        else:
            check_initial_density(fit.model, fit.point, finite=use == "steps")
            find_batches(list(fit.data.training.replacements.values()))
    except (ValueError, IndexError, TypeError) as error:
        what = f"The data have changed ({', '.join(names)})" if names else "Look at the data"
        which = "deterministics" if use == "draws" else "log density"
        hint = " sample(log_prob=False) draws without it." if use == "log_prob" else ""
        raise ValueError(
            f"{what}, and the model's {which} cannot be evaluated with them: "
            f"{first_line(error).rstrip('.')}."
            f"{hint}"
        ) from error
