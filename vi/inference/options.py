"""What the arguments of a fit mean: each is understood, or refused with what is accepted."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import jax
import optax

from vi.approximation import Approximation
from vi.foundation.numbers import number
from vi.foundation.precision import precision
from vi.models.density_model import DensityModel
from vi.objectives import ESTIMATORS, Objective
from vi.optimizers import AVERAGINGS, OPTIMIZERS, Averaging, PolynomialAverage, scale_free_adam

__all__ = [
    "averaging_from",
    "check_entropy",
    "check_prior",
    "objective_from",
    "optimizer_from",
]


def objective_from(estimator: Any, beta: float) -> Objective:
    """The objective meant by ``estimator``, a name, a class or an object, and ``beta``."""
    beta = number("beta", beta, least=0.0)
    if isinstance(estimator, str) and estimator in ESTIMATORS:
        estimator = ESTIMATORS[estimator]
    if inspect.isclass(estimator) and issubclass(estimator, Objective):
        if {"entropy_weight", "prior_weight"} <= inspect.signature(estimator).parameters.keys():
            return estimator(entropy_weight=beta, prior_weight=beta)  # type: ignore[call-arg]
    elif isinstance(estimator, Objective) and beta == 1.0:
        return estimator
    if beta != 1.0:
        raise TypeError(
            f"beta={beta!r} becomes the settings entropy_weight and prior_weight of an objective, "
            f"and {estimator!r} is made already or does not have them. Leave beta= out; give an "
            "instance with these settings as estimator=."
        )
    objective: Objective = ESTIMATORS.instance("estimator", estimator)
    return objective


def check_prior(model: Any, objective: Objective) -> None:
    """Refuse to weigh the prior of a log density that does not say which part of it is one."""
    unknown = isinstance(model, DensityModel) and model.log_prior is None
    if objective.prior_weight != 1.0 and unknown:
        raise ValueError(
            "beta weighs the divergence from the prior, and a log density that returns one number "
            "does not say what its prior is. Let it return the pair (log_prior, log_likelihood); "
            "or weigh the entropy alone, estimator=vi.objectives.MonteCarlo(entropy_weight="
            f"{objective.prior_weight:g})."
        )


def check_entropy(approx: Approximation, objective: Objective) -> None:
    """Refuse an objective that needs an entropy in closed form, of a family that has none."""
    if not objective.needs_entropy:
        return
    with precision(approx.dtype):
        found = jax.eval_shape(approx.family.entropy, approx.reported)
    if found is None:
        raise TypeError(
            f"The family {approx.family.short_name!r} has no closed-form entropy; use "
            "estimator='sticking_the_landing' or 'monte_carlo'."
        )


def optimizer_from(given: Any) -> optax.GradientTransformation:
    """The optax transformation meant by ``obj_optimizer``."""
    if given is None:
        return scale_free_adam()
    if isinstance(given, str):
        by_name: optax.GradientTransformation = OPTIMIZERS.instance("obj_optimizer", given)
        return by_name
    # pm.adam(learning_rate=...) is a partial of pm.adam, which is what pm.fit calls
    made_by, settings = (given.func, given.keywords) if isinstance(given, partial) else (given, {})
    if getattr(made_by, "__module__", "") == "pymc.variational.updates":
        name = made_by.__name__
        if name not in OPTIMIZERS:
            raise TypeError(
                f"obj_optimizer={given!r}: {name} of PyMC is no optimiser by itself. Use one of "
                f"vi's ({', '.join(OPTIMIZERS)}) or an optax transformation, optax.chain(...)."
            )
        own = {k: v for k, v in settings.items() if k not in ("loss_or_grads", "params")}
        called: optax.GradientTransformation = OPTIMIZERS[name](**own)
        return called
    if getattr(made_by, "_vi_with_settings", False) and made_by in standalone_optimizers():
        by_default: optax.GradientTransformation = given()
        return by_default
    if hasattr(given, "init") and hasattr(given, "update"):
        transformation: optax.GradientTransformation = given
        return transformation
    hint = ""
    if inspect.isroutine(given) and given.__name__.isidentifier():
        # of a function that makes one: its own name, not another optimiser's
        room = getattr(given, "__module__", "").partition(".")[0]
        prefix = f"{room}." if room in ("optax", "vi") else ""
        hint = f" Call it: {prefix}{given.__name__}(learning_rate=1e-3)."
    raise TypeError(
        f"obj_optimizer={given!r} is not an optimiser. Use an optax transformation "
        f"(optax.adam(1e-3)) or one of vi's: {', '.join(OPTIMIZERS)}.{hint}"
    )


def standalone_optimizers() -> list[Any]:
    """The functions whose settings all have defaults: given uncalled, they mean these."""
    return [OPTIMIZERS[name] for name in OPTIMIZERS.standalone]


def averaging_from(given: Any, default: bool) -> Averaging | None:
    """The averaging meant by ``averaging``; ``default`` says whether ``"auto"`` means on."""
    if given is None:
        return None
    if isinstance(given, str) and given == "auto":
        return PolynomialAverage() if default else None
    average: Averaging = AVERAGINGS.instance("averaging", given, also="'auto', None")
    return average
