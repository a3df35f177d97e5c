"""Pure JAX functions as PyTensor operations: differentiable, and plain JAX in a JAX graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from pytensor.compile.mode import optdb
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter

from vi.foundation.compiling import called_afresh
from vi.foundation.precision import precision
from vi.foundation.tracing_errors import TRACING_ERRORS, what_tracing_met
from vi.graphs.jax_derivatives import Pullback, ValueAndGradient
from vi.graphs.jax_dispatch import JAXShapeTuple, jax_funcify
from vi.graphs.jax_function import JaxFunction, floating_dtype, is_floating
from vi.graphs.object_mode import in_object_mode

__all__ = ["JaxOp"]


class JaxOp(Op):
    """A :class:`JaxFunction` as a PyTensor operation.

    It is called on the host in the precision of its types, whatever JAX's process-wide setting is.
    Its gradient is the function's vector-Jacobian product, which is such an operation again; that
    of a scalar comes out of one call together with the value. A graph compiled with ``mode="JAX"``
    has the function itself in it.

    Parameters
    ----------
    function : JaxFunction
        The function.
    """

    __props__ = ("function",)

    def __init__(self, function: JaxFunction) -> None:
        self.function = function

    def __str__(self) -> str:
        return f"{type(self).__name__}{{{self.function.label}}}"

    def make_node(self, *inputs: Variable) -> Apply:
        return Apply(self, list(inputs), [kind() for kind in self.function.output_types(inputs)])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        static = self.function.static
        arguments = [int(value) if i in static else value for i, value in enumerate(inputs)]
        with precision(self.function.host_dtype or floating_dtype([*node.inputs, *node.outputs])):
            try:
                values = called_afresh(self.function.compiled, *arguments)
            except TRACING_ERRORS as error:
                raise TypeError(
                    f"The JAX function {self.function.label}: {what_tracing_met(error)}."
                ) from error
        for output, storage, value in zip(node.outputs, outputs, values, strict=True):
            storage[0] = np.array(value, output.type.dtype)

    def pullback(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        cotangents: Sequence[Variable],
    ) -> list[Variable]:
        moving = tuple(i for i, variable in enumerate(inputs) if is_floating(variable))
        if len(outputs) == 1 and outputs[0].type.ndim == 0 and is_floating(outputs[0]):
            # The cotangent is no input of the operation, so that the value may come from it too
            # without a cycle: value and gradient are then one call (_share_the_call).
            op = JaxOp(ValueAndGradient(self.function, moving))
            _, *gradients = op.make_node(*inputs).outputs
            scaled = [(cotangents[0] * g).astype(g.dtype) for g in gradients]
            return _at(moving, scaled, len(inputs))
        # an output of which nothing is used has no cotangent
        dense = [
            output.zeros_like() if isinstance(cotangent.type, DisconnectedType) else cotangent
            for output, cotangent in zip(outputs, cotangents, strict=True)
        ]
        op = JaxOp(Pullback(self.function, moving, len(inputs)))
        return _at(moving, op.make_node(*inputs, *dense).outputs, len(inputs))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[is_floating(variable)] * len(node.outputs) for variable in node.inputs]


def _at(moving: Sequence[int], gradients: Sequence[Variable], n: int) -> list[Variable]:
    """A gradient for each of ``n`` inputs; those that are not in ``moving`` are not connected."""
    by_input = dict(zip(moving, gradients, strict=True))
    return [by_input[i] if i in by_input else disconnected_type() for i in range(n)]


@jax_funcify.register(JaxOp)
def _to_jax(op: JaxOp, node: Apply, **_: Any) -> Callable[..., Any]:
    constants: Mapping[int, int] = {
        i: int(node.inputs[i].data)
        for i in op.function.static
        if isinstance(node.inputs[i], Constant)
    }

    def traced(*inputs: Any) -> Any:
        arguments = [
            constants.get(i, _known_when_compiled(value)) if i in op.function.static else value
            for i, value in enumerate(inputs)
        ]
        outputs = op.function(*arguments)
        return outputs if len(outputs) > 1 else outputs[0]

    return traced


def _known_when_compiled(value: Any) -> int:
    if isinstance(value, tuple):
        (value,) = value
    if isinstance(value, jax.core.Tracer):
        raise NotImplementedError(
            "size is computed in the graph, but code compiled with mode='JAX' needs the number of "
            "draws in advance: give size as a whole number, or use another mode."
        )
    return int(value)


@node_rewriter([JaxOp])
def _sizes_as_tuples(fgraph: Any, node: Apply) -> Any:
    """Mark inputs that decide shapes, as PyTensor does for JAX.

    One that does nothing else is then compiled in.
    """
    inputs = list(node.inputs)
    for i in node.op.function.static:
        if not isinstance(inputs[i], Constant) and inputs[i].owner is None:
            inputs[i] = JAXShapeTuple()(inputs[i])
    return None if inputs == node.inputs else node.op.make_node(*inputs).outputs


@node_rewriter([JaxOp])
def _share_the_call(fgraph: Any, node: Apply) -> Any:
    """Take a scalar's value from the call that computes its gradient, where there is one."""
    function = node.op.function
    if not isinstance(function, ValueAndGradient):
        return None
    alone = JaxOp(function.of)
    for other, _ in fgraph.clients.get(node.inputs[0], ()):
        if other.op == alone and other.inputs == node.inputs:
            return {other.outputs[0]: node.outputs[0]}
    return None


optdb.register(
    "value_with_gradient_of_jax_functions", dfs_rewriter(_share_the_call), "fast_run", position=0.5
)
optdb.register("jax_sizes_of_jax_functions", dfs_rewriter(_sizes_as_tuples), "jax", position=100)


in_object_mode(JaxOp)
