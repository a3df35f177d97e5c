"""The log density that a record is fitted to, on its backend, data and devices."""

from __future__ import annotations

from dataclasses import replace

import pymc as pm

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.local_plan import local_setting
from vi.approximation.record.present_data import Use, check_present_data
from vi.foundation.numbers import flag
from vi.graphs.compiling import one_at_a_time
from vi.targets.backends.sharded import shared_by
from vi.targets.base import Target
from vi.targets.batches.setting import GraphSetting
from vi.targets.from_pymc import from_pymc
from vi.targets.model.full_model import full_model

__all__ = [
    "check_variables_are_the_same",
    "model_of_all_rows",
    "target",
    "target_of",
    "target_of_all_rows",
    "target_without_rows",
]


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


@one_at_a_time
def model_of_all_rows(fit: FitState) -> pm.Model:
    """The model with all rows in the place of batches; the model itself where it has none."""
    return full_model(fit.model, _setting(fit, training=False))


def _setting(fit: FitState, training: bool) -> GraphSetting:
    setting = fit.data.training if training else fit.data.all_rows
    if training and fit.algorithm is not None:
        setting = replace(setting, prior_weight=fit.algorithm.prior_weight)
    return local_setting(fit, setting) if fit.local else setting
