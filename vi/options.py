"""What the arguments of a fit mean: each is understood, or refused with what is accepted."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import optax

from vi.objectives import ESTIMATORS, Objective
from vi.optimizers import OPTIMIZERS, Averaging, PolynomialAverage, scale_free_adam

__all__ = [
    "averaging_from",
    "check_count",
    "explain_pymc_options",
    "objective_from",
    "optimizer_from",
    "positive",
    "refuse_pymc_options",
]


def objective_from(estimator: str, beta: float) -> Objective:
    """The objective meant by ``estimator`` and ``beta``."""
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise ValueError(f"estimator={estimator!r} is unknown; use one of {', '.join(map(repr, ESTIMATORS))}.")
    if isinstance(beta, bool) or not isinstance(beta, int | float | np.number) or not np.isfinite(beta) or beta < 0:
        raise ValueError(f"beta={beta!r}: the weight of the entropy must be a finite number of at least 0.")
    return ESTIMATORS[estimator](float(beta))


def optimizer_from(given: Any) -> optax.GradientTransformation:
    """The optax transformation meant by ``obj_optimizer``."""
    if given is None:
        return scale_free_adam()
    if isinstance(given, partial) and getattr(given.func, "__module__", "") == "pymc.variational.updates":
        settings = {k: v for k, v in given.keywords.items() if k not in ("loss_or_grads", "params")}
        return OPTIMIZERS[given.func.__name__](**settings)
    if hasattr(given, "init") and hasattr(given, "update"):
        transformation: optax.GradientTransformation = given
        return transformation
    hint = " Call it: vi.adam(learning_rate=1e-3)." if callable(given) else ""
    raise TypeError(
        f"obj_optimizer={given!r} is not an optimiser. Use an optax transformation (optax.adam(1e-3)) or one of vi's: "
        f"{', '.join(OPTIMIZERS)}.{hint}"
    )


def averaging_from(given: Averaging | str | None, default: bool) -> Averaging | None:
    """The averaging meant by ``averaging``; ``default`` says whether ``"auto"`` means on."""
    if given == "auto":
        return PolynomialAverage() if default else None
    if given == "polynomial":
        return PolynomialAverage()
    if given is None or isinstance(given, Averaging):
        return given
    raise TypeError(f"averaging={given!r} is unknown; use 'auto', None or vi.PolynomialAverage(eta=8).")


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}={value!r}: must be a whole number of at least 1.")


def positive(name: str, value: float | None) -> float | None:
    """A positive number, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
        raise ValueError(f"{name}={value!r}: must be a positive number.")
    return float(value)


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
