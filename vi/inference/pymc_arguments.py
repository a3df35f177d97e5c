"""PyMC's arguments that mean nothing here: explained or refused, in one place."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["explain_pymc_options", "refuse_pymc_options"]


def explain_pymc_options(**options: Any) -> None:
    """Warn about options of PyMC that have no effect here, and say what replaces them."""
    replaced = {
        "compile_kwargs": "backend= chooses what compiles the model",
        "fn_kwargs": "backend= chooses what compiles the model; run_profiling() times it",
        "progressbar_theme": "the bar uses rich's own theme",
    }
    for name, value in options.items():
        if value is not None:
            warnings.warn(f"{name} has no effect: {replaced[name]}.", UserWarning, stacklevel=3)


def refuse_pymc_options(**options: Any) -> None:
    """Refuse options of PyMC that cannot mean anything here, and say why."""
    reasons = {
        "test_optimizer": "there are no test functions to optimise; obj_optimizer is the only optimiser",
        "more_obj_params": "parameters belong to the family; write a vi.families.Family that has them",
        "more_tf_params": "there are no test functions with parameters",
        "more_updates": "a step is one compiled function without side updates; use a callback instead",
    }
    for name, value in options.items():
        if value is not None:
            raise TypeError(f"{name} is not supported: {reasons[name]}.")
