"""Expressions of a model's variables with the variables replaced by draws of q."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.type import TensorType

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import check_variables_are_the_same
from vi.approximation.results.moments import moment_of
from vi.approximation.results.node_arguments import (
    check_dependence,
    deterministic_from,
    in_container_of,
    named_nodes,
    replacements_from,
    size_from,
)
from vi.approximation.results.node_randomness import draws_of, streams
from vi.foundation.seeds import resolve_seed
from vi.graphs.compiling import one_at_a_time
from vi.graphs.parameter_checks import checks_as_densities
from vi.graphs.rebuild import rebuild, remake
from vi.graphs.vectorize import vectorize
from vi.graphs.wrapped_jax import with_jax_ops

__all__ = ["sample_node"]


@one_at_a_time
def sample_node(
    fit: FitState,
    shared_params: Mapping[str, Any],
    node: Any,
    size: Any = None,
    deterministic: Any = False,
    more_replacements: Mapping[Any, Any] | None = None,
    *,
    random_seed: Any = None,
) -> Any:
    """Replace the model's free variables in an expression by draws from q.

    The result is symbolic. Every evaluation draws anew, from q as it is at that moment;
    gradients with respect to :attr:`shared_params` are those of the draws for given noise.

    Parameters
    ----------
    node : Variable, or list, tuple or dict of them
        Expressions of the model's variables (random variables, deterministics, value variables,
        the model's log density), also ones written after the fit. Several nodes share their
        draws. Observed variables are drawn given their parents.
    size : int or symbolic integer scalar, optional
        Number of draws, a new leading dimension (called ``draw`` where dimensions have names);
        by default one draw without a new dimension.
    deterministic : bool or symbolic bool or integer scalar
        Whether to take the mean of q (in the unconstrained space) in place of draws. Observed
        variables are still drawn.
    more_replacements : dict of {Variable: Variable or array}, optional
        Other parts of the graph to replace: data, of other lengths too, or free variables, which
        take the value given in place of draws.
    random_seed : int, optional
        Determines the whole sequence of values; a new sequence by default.

    Returns
    -------
    Variable, or list, tuple or dict of them

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a node does not depend on a free variable (which is not replaced), if a replaced
        variable is not in the graph, or if ``size`` is below 1.
    NotImplementedError
        If an operation cannot be computed for many draws at once.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     x = pm.Data("x", [1.0, 2.0])
    ...     slope = pm.Normal("slope")
    ...     y = pm.Normal("y", slope * x, 0.1, shape=x.shape, observed=[1.0, 2.0])
    >>> approx = vi.fit(method="advi", model=model, random_seed=1, progressbar=False)
    >>> new = approx.sample_node(y, size=100, more_replacements={x: [3.0, 4.0, 5.0]}, random_seed=1)
    >>> new.eval().shape
    (100, 3)
    """
    names, nodes = named_nodes(node)
    size = size_from(size)
    deterministic = deterministic_from(deterministic)
    seed = resolve_seed(random_seed)
    check_variables_are_the_same(fit)
    check_dependence(fit, nodes, names)
    replacements = replacements_from(nodes, more_replacements or {})

    z = pt.tensor("z", dtype=fit.dtype.name, shape=(fit.layout.dim,))
    outputs = checks_as_densities(with_jax_ops(_in_terms_of(fit, z, nodes, replacements)))
    for name, output in zip(names, outputs, strict=True):
        if z not in set(ancestors([output])):
            raise ValueError(
                f"{name} does not depend on q any more once more_replacements are made."
            )

    key = pt.tensor("key", dtype="uint32", shape=(2,))
    draws = _draws(fit, shared_params, key, size, deterministic)
    if size is None:
        outputs = rebuild(outputs, {z: draws})
    else:
        outputs = vectorize(outputs, z, draws, size if isinstance(size, int) else draws.shape[0])
    return in_container_of(node, _with_fresh_generators(outputs, key, seed))


def _in_terms_of(
    fit: FitState, z: Any, nodes: Sequence[Any], replacements: Mapping[Variable, Any]
) -> list[Any]:
    """The nodes as functions of one draw ``z`` ``(D,)``, with replacements made."""
    model = fit.model
    known: dict[Variable, Any] = {}
    transformed: dict[Variable, Any] = {}
    for slot, variable, value in zip(fit.layout, model.free_RVs, model.value_vars, strict=True):
        piece: Any = z[slot.start : slot.stop].reshape(slot.shape).astype(value.dtype)
        piece = piece if isinstance(value.type, TensorType) else value.type.filter_variable(piece)
        piece.name = value.name
        known[value] = piece
        if model.rvs_to_transforms.get(variable) is None:
            known[variable] = piece
        else:
            transformed[variable] = piece

    def make(node: Apply, inputs: list[Any]) -> Sequence[Any]:
        outputs = list(remake(node, inputs))
        for i, variable in enumerate(node.outputs):
            if variable in transformed:
                transform = model.rvs_to_transforms[variable]
                constrained = transform.backward(transformed[variable], *inputs)
                outputs[i] = variable.type.filter_variable(constrained, allow_convert=True)
                outputs[i].name = variable.name
        return outputs

    replaced = rebuild(list(replacements.values()), known, make)
    return rebuild(nodes, known | dict(zip(replacements, replaced, strict=True)), make)


def _draws(
    fit: FitState, shared_params: Mapping[str, Any], key: Any, size: Any, deterministic: Any
) -> Any:
    """Draws of q, or its mean in their place: ``(D,)``, or ``(size, D)``."""
    dim = fit.layout.dim
    symbolic = isinstance(deterministic, Variable)
    draws = mean = None
    if symbolic or not deterministic:
        draws = draws_of(fit.family, dict(shared_params), dim, fit.dtype, key, size)
    if symbolic or deterministic:
        mean = moment_of(fit.family, "mean", dict(shared_params))
        mean = pt.specify_shape(mean, (dim,)).astype(fit.dtype.name)
        mean = mean if size is None else pt.broadcast_to(mean, (size, dim))
    if symbolic:
        return pt.switch(deterministic, mean, draws)
    return mean if deterministic else draws


def _with_fresh_generators(outputs: Sequence[Any], key: Any, seed: int) -> list[Any]:
    """Generators of the graphs, and the key of q's draws, all from one new shared generator.

    The model's own generators are left alone, and every evaluation is a new draw.
    """
    shared = [
        variable
        for variable in dict.fromkeys(graph_inputs(outputs))
        if isinstance(variable, SharedVariable) and isinstance(variable.type, RandomType)
    ]
    new_key, *generators = streams(len(shared), seed)
    typed = [old.type.filter_variable(new) for old, new in zip(shared, generators, strict=True)]
    return rebuild(outputs, {key: new_key, **dict(zip(shared, typed, strict=True))})
