"""Graphs that XLA computes faster: the same function with fewer exponentials and logarithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.traversal import ancestors
from pytensor.scalar import basic as scalar
from pytensor.scalar.math import Sigmoid, Softplus
from pytensor.tensor.basic import MakeVector
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise

from vi.graphs.jax_dispatch import jax_funcify

__all__ = ["make_cheaper"]


def make_cheaper(graph: FunctionGraph) -> None:
    r"""Rewrite a graph that is about to become JAX code, in place.

    - Whether a sigmoid lies between 0 and 1, or an exponential is not negative, is not asked.
    - A sum of ``switch(c, f, -inf)`` asks once whether all of c hold, not for each entry, where c
      is one number or does not depend on the first input: compiled loops then ask it of the data
      once for all steps.
    - ``switch(c, f(a), f(b))`` becomes ``f(switch(c, a, b))``: XLA computes both branches. The log
      density of a Bernoulli variable is ``switch(y, -softplus(-x), -softplus(x))``, and needs one.
    - :math:`\log(1 + e^x)` is :math:`\max(x, 0) + \log(1 + e^{-|x|})`, with the sigmoid of the same
      exponential as its derivative. PyTensor's form has four cases, of which XLA computes all.

    Parameters
    ----------
    graph : FunctionGraph
        The graph; its first input is what it is differentiated in.
    """
    for rewrite in (_without_known, _checked_once, _exchanged, _with_one_softplus):
        for node in list(graph.toposort()):
            if node in graph.apply_nodes:
                new = rewrite(graph, node)
                if new is not None:
                    graph.replace(node.outputs[0], new, reason=rewrite.__name__)


def _without_known(graph: FunctionGraph, node: Any) -> Any:
    """The truth in the place of a check that always holds, and what it let through."""
    if _is_known(node) or _is_all_of_truth(node):
        return pt.as_tensor(np.True_)
    whole = _scalar_op(node, scalar.Switch) and _same_size(node.inputs[1], node.outputs[0])
    return node.inputs[1] if whole and _is_truth(node.inputs[0]) else None


def _checked_once(graph: FunctionGraph, node: Any) -> Any:
    """A sum whose summands are all -inf where something does not hold, as a switch of a sum."""
    adds = isinstance(node.op, CAReduce) and isinstance(node.op.scalar_op, scalar.Add)
    if not adds or node.outputs[0].type.ndim:
        return None
    checks: list[tuple[Any, bool]] = []
    inside = node.inputs[0]
    while _scalar_op(inside.owner, scalar.Switch) and len(graph.clients[inside]) == 1:
        condition, one, other = inside.owner.inputs
        good = _is_minus_infinity(other)
        within = one if good else other
        fixed = _bare(condition).ndim == 0 or graph.inputs[0] not in ancestors([condition])
        if not fixed or not _same_size(within, inside) or not (good or _is_minus_infinity(one)):
            break
        checks.append((condition, good))
        inside = within
    if not checks:
        return None
    total = node.op(inside)
    for condition, good in reversed(checks):
        allowed = pt.all(condition) if good else ~pt.any(condition)
        total = pt.switch(allowed, total, -np.inf)
    return total.astype(node.outputs[0].type.dtype)


def _with_one_softplus(graph: FunctionGraph, node: Any) -> Any:
    return OneSoftplus()(node.inputs[0]) if _scalar_op(node, Softplus) else None


def _exchanged(graph: FunctionGraph, node: Any) -> Any:
    """A switch with the functions that both branches have in common drawn out of it."""
    if not _scalar_op(node, scalar.Switch):
        return None
    condition, one, other = node.inputs
    functions: list[Any] = []
    while _same_function(graph, node.outputs[0], one, other):
        functions.append(one.owner.op)
        one, other = one.owner.inputs[0], other.owner.inputs[0]
    if not functions:
        return None
    new = node.op(condition, one, other)
    for function in reversed(functions):
        new = function(new)
    return new


def _scalar_op(node: Any, kind: Any) -> bool:
    elementwise = node is not None and isinstance(node.op, Elemwise)
    return bool(elementwise and isinstance(node.op.scalar_op, kind))


def _same_size(one: Any, other: Any) -> bool:
    return bool(one.type.broadcastable == other.type.broadcastable)


def _bare(variable: Any) -> Any:
    """A variable without the axes of length 1 that were added to it."""
    while variable.owner is not None and isinstance(variable.owner.op, DimShuffle):
        variable = variable.owner.inputs[0]
    return variable


def _is_truth(variable: Any) -> bool:
    bare = _bare(variable)
    return isinstance(bare, Constant) and bare.dtype == "bool" and bool(np.all(bare.data))


def _is_minus_infinity(variable: Any) -> bool:
    bare = _bare(variable)
    return isinstance(bare, Constant) and bool(np.all(bare.data == -np.inf))


def _same_function(graph: FunctionGraph, result: Any, one: Any, other: Any) -> bool:
    """Whether two branches are one function of things of the result's size, used nowhere else."""
    if one.owner is None or other.owner is None or one is other:
        return False
    op = one.owner.op
    if not isinstance(op, Elemwise) or op != other.owner.op or len(one.owner.inputs) != 1:
        return False
    if any(len(graph.clients[branch]) > 1 for branch in (one, other)):
        return False
    inside = one.owner.inputs[0], other.owner.inputs[0]
    return bool(inside[0].type == inside[1].type) and _same_size(inside[0], result)


def _is_known(node: Any) -> bool:
    """Whether a node asks of all entries of a sigmoid or exponential what is always so."""
    asked = _asked_of_all(node)
    if not isinstance(getattr(asked, "op", None), Elemwise) or len(asked.inputs) != 2:
        return False
    value, bound = asked.inputs[0].owner, asked.inputs[1]
    if value is None or not isinstance(bound, Constant):
        return False
    at_least = _scalar_op(asked, scalar.GE) and np.max(bound.data) <= 0
    at_most = _scalar_op(asked, scalar.LE) and np.min(bound.data) >= 1
    if at_least:
        return _scalar_op(value, (Sigmoid, scalar.Exp))
    return bool(at_most) and _scalar_op(value, Sigmoid)


def _is_all_of_truth(node: Any) -> bool:
    """Whether a node asks of several truths whether all hold."""
    asked = _asked_of_all(node)
    several = isinstance(getattr(asked, "op", None), MakeVector)
    return several and all(_is_truth(variable) for variable in asked.inputs)


def _asked_of_all(node: Any) -> Any:
    """The node of whose entries another one asks whether all hold; None if it does not."""
    if not (isinstance(node.op, CAReduce) and isinstance(node.op.scalar_op, scalar.AND)):
        return None
    return node.inputs[0].owner if node.outputs[0].type.ndim == 0 else None


class OneSoftplus(Op):
    """The softplus of a tensor, for JAX alone."""

    __props__ = ()

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        outputs[0][0] = np.logaddexp(inputs[0], 0.0)


@jax.custom_jvp
def _softplus(x: jax.Array) -> jax.Array:
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@jax.custom_jvp
def _sigmoid(x: jax.Array) -> jax.Array:
    exponential = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0.0, 1.0, exponential) / (1.0 + exponential)


@_softplus.defjvp
def _slope(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return _softplus(x), _sigmoid(x) * tangent


@_sigmoid.defjvp
def _curvature(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    value = _sigmoid(x)
    return value, value * (1.0 - value) * tangent


@jax_funcify.register(OneSoftplus)
def _softplus_to_jax(op: Op, **_: Any) -> Callable[..., Any]:
    return _softplus
