"""What the arguments of a fit mean: each is understood, or refused with what is accepted."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import optax

from vi.objectives import ESTIMATORS, Objective
from vi.optimizers import OPTIMIZERS, Averaging, PolynomialAverage, scale_free_adam

__all__ = ["averaging_from", "objective_from", "optimizer_from"]


def objective_from(estimator: str, beta: float) -> Objective:
    """The objective meant by ``estimator`` and ``beta``."""
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise ValueError(
            f"estimator={estimator!r} is unknown; use one of {', '.join(map(repr, ESTIMATORS))}."
        )
    if (
        isinstance(beta, bool)
        or not isinstance(beta, int | float | np.number)
        or not np.isfinite(beta)
        or beta < 0
    ):
        raise ValueError(
            f"beta={beta!r}: the weight of the entropy must be a finite number of at least 0."
        )
    return ESTIMATORS[estimator](float(beta))


def optimizer_from(given: Any) -> optax.GradientTransformation:
    """The optax transformation meant by ``obj_optimizer``."""
    if given is None:
        return scale_free_adam()
    if (
        isinstance(given, partial)
        and getattr(given.func, "__module__", "") == "pymc.variational.updates"
    ):
        settings = {k: v for k, v in given.keywords.items() if k not in ("loss_or_grads", "params")}
        return OPTIMIZERS[given.func.__name__](**settings)
    if hasattr(given, "init") and hasattr(given, "update"):
        transformation: optax.GradientTransformation = given
        return transformation
    hint = " Call it: vi.adam(learning_rate=1e-3)." if callable(given) else ""
    raise TypeError(
        f"obj_optimizer={given!r} is not an optimiser. Use an optax transformation "
        "(optax.adam(1e-3)) or one of vi's: "
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
    raise TypeError(
        f"averaging={given!r} is unknown; use 'auto', None or vi.PolynomialAverage(eta=8)."
    )
