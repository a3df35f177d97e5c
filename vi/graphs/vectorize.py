"""A graph of one draw computed for many draws at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytensor.tensor as pt
from pymc.data import MinibatchIndexRV, MinibatchOp
from pymc.distributions.shape_utils import change_dist_size
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import optdb
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import _vectorize_node
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.traversal import ancestors
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import get_vector_length
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.type import TensorType
from pytensor.tensor.type_other import NoneTypeT
from pytensor.xtensor.basic import TensorFromXTensor, XTensorFromTensor
from pytensor.xtensor.type import XTensorType, as_xtensor

from vi.graphs.rebuild import inline, rebuild, remake

__all__ = ["vectorize"]


def vectorize(outputs: Sequence[Any], z: Variable, draws: Any, size: Any) -> list[Any]:
    """The graphs of ``outputs``, functions of one draw ``z``, for all draws at once.

    Every random variable gets its own values in every draw, also one that does not depend on ``z``.
    Minibatches are the exception: all draws see the same one.

    Parameters
    ----------
    outputs : sequence of Variable
        Graphs for one draw.
    z : Variable
        The draw.
    draws : Variable
        All draws, along the first axis.
    size : int or Variable
        Number of draws.

    Returns
    -------
    list of Variable
        Each with one more leading dimension (named ``draw`` where dimensions have names).

    Raises
    ------
    NotImplementedError
        If an operation cannot be vectorised; the message names it.
    """
    plain = _without_named_dimensions(outputs)
    # by variable of many draws, the number of dimensions in one draw
    one_draw: dict[Variable, int] = {draws: z.type.ndim}
    many = rebuild(plain, {z: draws}, _Vectorizer(one_draw, size))
    named = []
    for old, core, new in zip(outputs, plain, many, strict=True):
        if new.type.ndim == core.type.ndim:
            new = pt.broadcast_to(new, (size, *new.shape))
        named.append(
            as_xtensor(new, dims=_with_draw(old)) if isinstance(old.type, XTensorType) else new
        )
    return named


class _Vectorizer:
    """Makes nodes for many draws; remembers which variables have one value in each draw."""

    def __init__(self, one_draw: dict[Variable, int], size: Any) -> None:
        self.one_draw = one_draw
        self.size = size

    def __call__(self, node: Apply, inputs: list[Any]) -> Sequence[Any]:
        op = node.op
        moving = any(variable in self.one_draw for variable in inputs)
        if isinstance(op, XTensorFromTensor | ViewOp):
            return inputs[:1]  # casts and views are all that is left of named dimensions
        if isinstance(op, TensorFromXTensor) and isinstance(inputs[0].type, TensorType):
            return inputs[:1]
        if isinstance(op, Shape | Shape_i):  # the same in every draw
            shape = pt.shape(inputs[0])[1:] if moving else pt.shape(inputs[0])
            return [shape if isinstance(op, Shape) else shape[op.i]]
        if isinstance(op, CheckAndRaise):
            value, *conditions = inputs
            return self._mark(
                node, [op(value, *(c.all() if c.type.ndim else c for c in conditions))]
            )
        if any(isinstance(variable.type, RandomType) for variable in inputs):
            return self._random(node, inputs, moving)
        return self._mark(node, self._vectorize(node, inputs)) if moving else remake(node, inputs)

    def _random(self, node: Apply, inputs: list[Any], moving: bool) -> Sequence[Any]:
        op = node.op
        if isinstance(op, RandomVariable):
            if any(variable in self.one_draw for variable in inputs[2:]):
                rng, shape, *parameters = inputs
                if not isinstance(shape.type, NoneTypeT):
                    # scalars side by side rather than joined vectors: the form that JAX mode knows
                    lengths = [shape[i] for i in range(get_vector_length(shape))]
                    shape = pt.stack([pt.as_tensor(self.size, dtype="int64"), *lengths])
                return self._mark(node, op.make_node(rng, shape, *parameters).outputs)
            outputs = remake(node, inputs)
            if isinstance(op, MinibatchIndexRV):
                return outputs
            return self._mark(
                node, change_dist_size(outputs[1], (self.size,), expand=True).owner.outputs
            )
        if isinstance(op, MinibatchOp) and not moving:
            return remake(node, inputs)
        if isinstance(op, OpFromGraph):
            return inline(node, inputs, self)
        if all(isinstance(variable.type, RandomType) for variable in node.outputs):
            return remake(node, inputs)
        raise NotImplementedError(_refusal(node, "it draws random numbers in a loop"))

    def _vectorize(self, node: Apply, inputs: list[Any]) -> Sequence[Any]:
        try:
            new = _vectorize_node(node.op, node, *inputs)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise NotImplementedError(_refusal(node, str(error) or type(error).__name__)) from error
        outputs: Sequence[Any] = new.outputs if isinstance(new, Apply) else new
        return outputs

    def _mark(self, node: Apply, outputs: Sequence[Any]) -> Sequence[Any]:
        for old, new in zip(node.outputs, outputs, strict=True):
            rank = getattr(old.type, "ndim", None)
            if rank is not None and new.type.ndim > rank:
                self.one_draw[new] = rank
                new.name = new.name or old.name
        return outputs


def _refusal(node: Apply, why: str) -> str:
    text = str(node.op) if len(str(node.op)) <= 60 else type(node.op).__name__
    name = next((f" (of {variable.name!r})" for variable in node.outputs if variable.name), "")
    return (
        f"{text}{name} cannot be computed for many draws at once: {why}. "
        "Leave size out, and draw the node with pm.draw(node, draws=...)."
    )


def _with_draw(variable: Any) -> tuple[str, ...]:
    if "draw" in variable.type.dims:
        raise ValueError(
            f"The leading dimension of {variable} would be called 'draw', which one of its own is "
            "called already; rename that one."
        )
    return ("draw", *variable.type.dims)


def _without_named_dimensions(outputs: Sequence[Any]) -> list[Any]:
    """The graphs with named dimensions turned into positions, by PyTensor's own rewrites."""
    if not any(isinstance(variable.type, XTensorType) for variable in ancestors(outputs)):
        return list(outputs)
    plain = [
        variable.values if isinstance(variable.type, XTensorType) else variable
        for variable in outputs
    ]
    graph = FunctionGraph(outputs=plain, clone=True, copy_inputs=False)
    optdb.query(RewriteDatabaseQuery(include=["lower_xtensor"])).rewrite(graph)
    return list(graph.outputs)
