"""What is refused before anything compiles: each check says what was got, what is accepted and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor import as_tensor
from pytensor.tensor.random.type import RandomType

__all__ = [
    "check_initial_density",
    "check_replacements",
    "check_start",
    "check_variables",
    "model_in_context",
    "refuse_random_inputs",
]


def model_in_context(model: pm.Model | None) -> pm.Model:
    """The model, or the one whose ``with`` block is open."""
    if model is None:
        model = pm.Model.get_context(error_if_none=False)
        if model is None:
            raise TypeError("No model: pass model=..., or call this inside `with model:`.")
    if not isinstance(model, pm.Model):
        raise TypeError(f"model must be a pymc.Model, got {type(model).__name__}.")
    return model


def check_variables(model: pm.Model) -> None:
    """Refuse models without free variables and models with discrete ones."""
    if not model.free_RVs:
        raise ValueError(
            "The model has no free random variables, so there is nothing to fit. "
            "Every variable is observed or deterministic; did you mean pm.sample_prior_predictive?"
        )
    discrete = [variable.name for variable in model.free_RVs if not np.issubdtype(variable.dtype, np.floating)]
    if discrete:
        raise ValueError(
            f"Discrete free variables cannot be fitted by variational inference: {', '.join(discrete)}. "
            "Marginalise them (pm.Mixture for a finite mixture, pymc_extras.marginalize in general), "
            "or use pm.sample, which has step methods for them."
        )


def refuse_random_inputs(model: pm.Model, inputs: Iterable[Variable]) -> None:
    """Refuse log densities that draw random numbers of their own."""
    random = [v for v in inputs if isinstance(v, SharedVariable) and isinstance(v.type, RandomType)]
    if random:
        names = [v.name for v in [*model.observed_RVs, *model.potentials, *model.free_RVs] if v.name]
        raise NotImplementedError(
            "The log density draws random numbers (a pm.Minibatch, a Simulator or a random variable that the model "
            f"does not know), so it is not one function of the parameters. The model's terms are: {', '.join(names)}. "
            "Use the full data (pm.Data), or register the variable with the model."
        )


def check_replacements(replacements: Mapping[Variable, Variable], outputs: Sequence[Variable]) -> None:
    """Refuse replacements of variables that the model does not use."""
    used = set(ancestors(outputs))
    for old, new in replacements.items():
        if not isinstance(old, Variable) or not isinstance(new, Variable):
            raise TypeError(f"more_replacements maps PyTensor variables to PyTensor variables, got {old!r}: {new!r}.")
        if old not in used:
            raise ValueError(
                f"more_replacements: {old} is not part of the model's log density. Replace data or expressions of the "
                "model; a free random variable cannot be replaced."
            )


def check_start(model: pm.Model, start: Mapping[str, Any], argument: str = "start") -> None:
    """Refuse start values for unknown names, of the wrong shape, or that are not numbers."""
    if not isinstance(start, Mapping):
        raise TypeError(f"{argument} must be a dict of {{name: value}}, got {type(start).__name__}.")
    shapes: dict[str, tuple[int, ...]] = {}
    point = model.initial_point()
    constrained = model.eval_rv_shapes()
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        shapes[value.name] = np.shape(point[value.name])
        shapes[variable.name] = tuple(constrained[variable.name])
    known = ", ".join(variable.name for variable in model.free_RVs)
    for name, value in start.items():
        key = getattr(name, "name", name)
        if key not in shapes:
            raise ValueError(f"{argument} has a value for {key!r}, which is not a free variable. Known: {known}.")
        if isinstance(value, str):
            continue  # PyMC's strategies "prior" and "support_point"
        array = np.asarray(value.eval() if isinstance(value, Variable) else value)
        if not np.issubdtype(array.dtype, np.number):
            raise TypeError(f"{argument}[{key!r}] must be numbers, got {array.dtype}.")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{argument}[{key!r}] is not finite: {array}.")
        try:
            np.broadcast_to(array, shapes[key])
        except ValueError:
            raise ValueError(
                f"{argument}[{key!r}] has shape {array.shape}, but {key!r} has shape {shapes[key]}."
            ) from None


def check_initial_density(model: pm.Model, point: Mapping[str, np.ndarray]) -> None:
    """Refuse a start at which the log density is not finite, naming the terms and the values responsible.

    Evaluated by PyTensor's interpreter, so nothing is compiled.
    """
    terms = [*model.free_RVs, *model.observed_RVs, *model.potentials]
    outputs = [as_tensor(term, allow_xtensor_conversion=True).sum() for term in model.logp(terms, sum=False)]
    refuse_random_inputs(model, graph_inputs(outputs))
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        function = pytensor.function(
            model.value_vars, outputs, mode=Mode(linker="py", optimizer="fast_compile"), on_unused_input="ignore"
        )
        values = [np.asarray(point[value.name], value.dtype) for value in model.value_vars]
        results = function(*values)
    bad = {term.name: float(value) for term, value in zip(terms, results, strict=True) if not np.isfinite(value)}
    if bad:
        listed = ", ".join(f"{name} ({value})" for name, value in bad.items())
        involved = _responsible(model, bad, point)
        raise ValueError(
            f"The log density is not finite at the start. Terms that are not finite: {listed}. {involved}"
            "Check the observed data and the support of the priors, or pass start={name: value}. "
            "model.debug() shows the parameters."
        )


def _responsible(model: pm.Model, bad: Mapping[str, float], point: Mapping[str, np.ndarray]) -> str:
    """Start values of the free variables on which the bad terms depend."""
    lines = []
    terms = [model[name] for name in bad]
    used = set(ancestors(terms))
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        if variable in used:
            lines.append(f"{value.name} = {np.array2string(np.asarray(point[value.name]), threshold=6, precision=4)}")
    return f"They depend on: {'; '.join(lines)}. " if lines else ""
