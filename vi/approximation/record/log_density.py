"""The log density that a record is fitted to, on its backend, data and devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pymc as pm

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.local_plan import local_setting
from vi.approximation.record.points import points_of
from vi.approximation.record.present_data import Use, check_present_data
from vi.foundation.numbers import flag
from vi.foundation.seeds import SOME_ROWS, generator_from
from vi.graphs.compiling import one_at_a_time
from vi.targets.backends.jax_target import JaxTarget
from vi.targets.backends.pytensor_target import PytensorTarget
from vi.targets.backends.sharded import shared_by
from vi.targets.backends.streamed_target import StreamedTarget
from vi.targets.base import Target
from vi.targets.batches.row_blocks import RowBlocks
from vi.targets.batches.row_sums import rows_add_up
from vi.targets.batches.search import has_batches
from vi.targets.batches.setting import GraphSetting
from vi.targets.batches.some_rows import SomeRows, chosen_rows
from vi.targets.from_pymc import from_pymc
from vi.targets.model.full_model import full_model

__all__ = [
    "check_variables_are_the_same",
    "model_of_all_rows",
    "target",
    "target_of",
    "target_of_all_rows",
    "target_of_every_row",
    "target_of_row_blocks",
    "target_of_some_rows",
    "target_without_rows",
]


SOME, SOME_PER_DIMENSION = 5000, 20
"""Rows that stand for all, at the least: of so many the curvature is known to some per cent along
any direction, as the covariance of normal rows to the root of D over their number."""

MANY = 2
"""How many times as many rows there have to be: fewer are read as a whole."""


def check_variables_are_the_same(fit: FitState) -> None:
    """Refuse a model whose free variables are no longer those that were fitted."""
    present = [value.name for value in fit.model.value_vars]
    fitted = [slot.value_name for slot in fit.layout]
    if present != fitted:
        raise ValueError(
            f"The model's free variables are now {', '.join(present)}, the approximation is one "
            f"of {', '.join(fitted)}: start a new fit."
        )


@one_at_a_time
def target_of(fit: FitState, use: Use = "log_prob") -> Target:
    """The model's log density on the backend of the fit; for steps on its data and devices."""
    check_variables_are_the_same(fit)
    check_present_data(fit, use)
    training = use == "steps"
    if training and fit.data.some_rows is not None:
        return fit.data.some_rows
    setting = _setting(fit, training)
    target = from_pymc(
        fit.model, backend=fit.backend, dtype=fit.dtype, start=fit.point, setting=setting
    )
    return shared_by(target, fit.devices) if training and fit.devices is not None else target


@one_at_a_time
def target_without_rows(fit: FitState) -> Target:
    """A target for what no row has a part in: that of the steps, where there was one.

    The one of all rows would be built and looked at, which takes several passes over the data.
    """
    if fit.run is None or fit.data.stream is not None:
        return target_of(fit, "draws")
    check_variables_are_the_same(fit)
    check_present_data(fit, "draws")
    setting = _setting(fit, training=True)
    return from_pymc(
        fit.model, backend=fit.backend, dtype=fit.dtype, start=fit.point, setting=setting
    )


def target(fit: FitState, *, training: bool = False) -> Target:
    """The model's log density on the backend of the fit; ``training``: on its data and devices."""
    flag("training", training)
    return target_of(fit, "steps" if training else "log_prob")


def target_of_all_rows(fit: FitState) -> Target:
    """The log density with all rows in the place of batches.

    Raises
    ------
    TypeError
        If rows are streamed.
    """
    if fit.data.stream is not None:
        raise TypeError(
            "The rows are streamed: this needs all rows at once. Give data= as arrays in memory."
        )
    return target_of(fit)


def target_of_row_blocks(fit: FitState) -> Target:
    """As :func:`target_of_all_rows`; of a model in batches it reads one block after the other.

    What is compiled is the log density of batches, and memory does not grow with the rows. Where
    these are few it reads them together.
    """
    if target_of_some_rows(fit) is None:
        return target_of_all_rows(fit)
    steps = _of_batches(fit)
    assert steps is not None
    if len(steps.batch().counts) != 1:
        return target_of_all_rows(fit)
    return steps.compiled("row blocks", lambda: RowBlocks(steps))


def target_of_some_rows(fit: FitState) -> SomeRows | None:
    """The log density of a model in batches through fixed rows that stand for all.

    None where there are no batches, or not many more rows than these. Which rows follows from the
    seed.
    """
    steps = _of_batches(fit)
    if steps is None:
        return None
    counts, wanted = steps.batch().counts, max(SOME, SOME_PER_DIMENSION * fit.layout.dim)
    if min(counts) <= MANY * wanted:
        return None
    adds_up = steps.compiled("rows add up", lambda: rows_add_up(steps.graph, fit.seed))  # type: ignore[attr-defined]
    if not adds_up:
        return None
    return steps.compiled(
        ("some rows", wanted, fit.seed, counts),
        lambda: SomeRows(steps, chosen_rows(counts, wanted, generator_from(fit.seed, SOME_ROWS))),
    )


def _of_batches(fit: FitState) -> Target | None:
    """The log density of steps that see batches of rows in memory; None where there are none."""
    if fit.data.stream is not None or fit.local or fit.devices is not None:
        return None
    if not has_batches(fit.model, fit.data.training.replacements.values()):
        return None
    return target_of(replace(fit, data=replace(fit.data, some_rows=None)), "steps")


@one_at_a_time
def target_of_every_row(fit: FitState) -> Target:
    """The same, but for streamed rows: of these each question takes a pass over the stream."""
    stream, streamed = fit.data.stream, fit.data.training.streamed
    if stream is None or streamed is None:
        return target_of_all_rows(fit)
    check_variables_are_the_same(fit)
    check_present_data(fit, "log_prob")
    by_name = fit.data.training.scale if isinstance(fit.data.training.scale, Mapping) else {}
    setting = replace(
        fit.data.training,
        points=frozenset(points_of(fit)),
        streamed=replace(streamed, any_length=True),
        # what a step's terms are multiplied by is not what all rows come to
        scale=dict.fromkeys(by_name, "rows") if by_name else fit.data.training.scale,
    )
    step = from_pymc(
        fit.model, backend=fit.backend, dtype=fit.dtype, start=fit.point, setting=setting
    )
    assert isinstance(step, JaxTarget | PytensorTarget)
    return fit.data.compiled(("every row", step), lambda: StreamedTarget(step, stream))


@one_at_a_time
def model_of_all_rows(fit: FitState) -> pm.Model:
    """The model with all rows in the place of batches; the model itself where it has none."""
    return full_model(fit.model, _setting(fit, training=False))


def _setting(fit: FitState, training: bool) -> GraphSetting:
    setting = fit.data.training if training else fit.data.all_rows
    setting = replace(setting, points=frozenset(points_of(fit)))
    if training and fit.algorithm is not None:
        setting = replace(setting, prior_weight=fit.algorithm.prior_weight)
    return local_setting(fit, setting) if fit.local else setting
