"""What is refused before anything compiles, with what was got, what is accepted, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pymc as pm
from pymc.pytensorf import rvs_in_graph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.sparse.type import SparseTensorType
from pytensor.tensor.random.type import RandomType

from vi.foundation.arrays import refuse_masked
from vi.graphs.interpret import interpret
from vi.graphs.jax_op import JaxOp
from vi.graphs.wrapped_jax import function_of
from vi.targets.model.shapes import initial_point, rv_shapes

__all__ = [
    "check_mapping",
    "check_start",
    "check_variables",
    "model_in_context",
    "real_numbers",
    "refuse_random_inputs",
    "refuse_whole_numbers",
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
    if any(not v.name for v in [*model.free_RVs, *model.deterministics]):
        raise ValueError(
            'A variable of the model has the name "", and draws are known by name: give it one.'
        )
    reserved = [
        v.name for v in [*model.free_RVs, *model.deterministics] if v.name in ("chain", "draw")
    ]
    if reserved:
        raise ValueError(
            f"A variable cannot be called {' or '.join(map(repr, reserved))}: draws have a "
            "dimension of that name."
        )
    sparse = [
        variable.name
        for variable in model.observed_RVs
        if isinstance(model.rvs_to_values[variable].type, SparseTensorType)
    ]
    if sparse:
        raise TypeError(
            f"Observed as sparse matrices: {', '.join(sparse)}. Densities are of dense arrays: "
            "observed=matrix.toarray()."
        )
    discrete = [
        variable.name
        for variable in model.free_RVs
        if not np.issubdtype(variable.dtype, np.floating)
    ]
    if discrete:
        raise ValueError(
            "Discrete free variables cannot be fitted by variational inference: "
            f"{', '.join(discrete)}. Marginalise them (pm.Mixture for a finite mixture, "
            "pymc_extras.marginalize in general), or use pm.sample, which has step methods for "
            "them."
        )


def refuse_random_inputs(model: pm.Model, inputs: Iterable[Variable]) -> None:
    """Refuse log densities that draw random numbers of their own."""
    random = [v for v in inputs if isinstance(v, SharedVariable) and isinstance(v.type, RandomType)]
    if random:
        names = [
            v.name for v in [*model.observed_RVs, *model.potentials, *model.free_RVs] if v.name
        ]
        raise NotImplementedError(
            "The log density draws random numbers of its own, so it is not one function of the "
            "parameters. A pm.Simulator has no density: use pm.sample_smc. A random variable must "
            f"be registered with the model. The model's terms are: {', '.join(names)}."
        )


def check_start(model: pm.Model, start: Any, argument: str = "start") -> None:
    """Refuse start values for unknown names, of the wrong shape, or that are not numbers."""
    check_mapping(start, argument)
    shapes: dict[str, tuple[int, ...]] = {}
    point = initial_point(model)
    constrained = rv_shapes(model)
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        shapes[value.name] = np.shape(point[value.name])
        shapes[variable.name] = constrained[variable.name]
    names = [variable.name for variable in model.free_RVs]
    for name, value in start.items():
        key = getattr(name, "name", name)
        if key not in shapes:
            raise ValueError(
                f"{argument} has a value for {key!r}, which is not a free variable. Known: "
                f"{', '.join(names)}."
            )
        if isinstance(value, str) and value in ("prior", "support_point") and key in names:
            continue  # PyMC's strategies
        array = real_numbers(value, f"{argument}[{key!r}]")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{argument}[{key!r}] is not finite: {array}.")
        try:
            np.broadcast_to(array, shapes[key])
        except ValueError:
            raise ValueError(
                f"{argument}[{key!r}] has shape {array.shape}, but {key!r} has shape {shapes[key]}."
            ) from None


def check_mapping(mapping: Any, argument: str) -> None:
    """Refuse what is not a dictionary of values by name."""
    if not isinstance(mapping, Mapping):
        raise TypeError(
            f"{argument} must be a dict of {{name: value}}, got {type(mapping).__name__}."
        )


def real_numbers(value: Any, what: str) -> np.ndarray:
    """A value as an array of real numbers; refuse what is none."""
    if isinstance(value, Variable):
        if rvs_in_graph([value]):
            raise TypeError(f"{what} depends on random variables: {value}. Give numbers.")
        (value,) = interpret([], [value], [])
    refuse_masked(value, what)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{what} is not an array: {error}") from None
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise TypeError(f"{what} must be real numbers, got {value!r} ({array.dtype}).")
    return array


def refuse_whole_numbers(model: pm.Model) -> None:
    """Refuse terms that are whole numbers made by JAX functions: they have no gradient.

    Raises
    ------
    TypeError
        The message names the term and the function.
    """
    free = set(model.free_RVs)
    for term in model.potentials:
        if getattr(term.type, "dtype", "float64").startswith("float"):
            continue
        for variable in ancestors([term]):
            node = variable.owner
            if node is None or not free.intersection(ancestors(node.inputs)):
                continue
            function = node.op.function if isinstance(node.op, JaxOp) else function_of(node)
            if function is not None and not np.issubdtype(variable.type.dtype, np.floating):
                raise TypeError(
                    f"The log density has the term {term.name!r} of type {term.type.dtype}, made "
                    f"by the JAX function {function.label!r}, which returns {variable.type.dtype}: "
                    "whole numbers have no gradient, so nothing could be learnt from it. Return a "
                    "floating-point number from the function (values.sum().astype(float), 0.0 "
                    "instead of 0)."
                )
