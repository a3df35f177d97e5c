"""Data that have changed since they were read: seen, and refused where they cannot be had."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vi.approximation.record.fit_state import FitState
from vi.foundation.tracing_errors import first_line
from vi.targets.batches.search import find_batches
from vi.targets.cache import cache_of, watched
from vi.targets.model.data_watch import DataWatch, names_of
from vi.targets.model.initial_density import check_initial_density

__all__ = ["check_present_data", "refuse_changed_data", "watch_data"]

logger = logging.getLogger("vi")


def watch_data(fit: FitState) -> None:
    """Watch the data of the model from now on: they have just been looked at."""
    shared = watched(fit.model)
    cache_of(fit.model).watches |= {training: DataWatch(shared) for training in (True, False)}


def check_present_data(fit: FitState, *, training: bool) -> None:
    """Look at the model's data where they are others than at the last look.

    The only place that knows what may have changed between two calls; a run asks its supply in the
    same way between two chunks.

    Parameters
    ----------
    fit : FitState
        Whose model it is.
    training : bool
        Whether steps are made on the data: values that are not finite are refused then, and
        minibatches that replace them are looked at too.

    Raises
    ------
    ValueError
        If the model cannot be evaluated with the data: an index does not exist, lengths do not
        fit together.
    """
    watches = cache_of(fit.model).watches
    if training not in watches:  # of a file, say: nobody has looked yet
        watch_data(fit)
        refuse_changed_data(fit, [], finite=training)
        return
    watch = watches[training]
    changed = watch.changed()
    if changed:
        if doubtful := watch.doubtful():
            refuse_changed_data(fit, names_of(doubtful), training)
        watch.accept()
        names = ", ".join(names_of(changed))
        logger.info("The data have changed (%s); the present ones count from now on.", names)
    if training:
        find_batches(list(fit.data.training.replacements.values()))  # refuses lengths that differ


def refuse_changed_data(fit: FitState, names: Sequence[str], finite: bool) -> None:
    """Refuse data with which the model cannot be evaluated.

    Raises
    ------
    ValueError
        With the names of what has changed, and what is wrong.
    """
    try:
        check_initial_density(fit.model, fit.point, finite=finite)
        find_batches(list(fit.data.training.replacements.values()))
    except (ValueError, IndexError, TypeError) as error:
        what = f"The data have changed ({', '.join(names)})" if names else "Look at the data"
        raise ValueError(
            f"{what}, and the model cannot be evaluated with them: {first_line(error)}"
        ) from error
