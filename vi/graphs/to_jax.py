"""PyTensor graphs to JAX functions, with the gaps named and a known wrong gradient prevented."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
from pymc.logprob.utils import CheckParameterValue
from pytensor.compile.mode import get_mode
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.raise_op import Assert
from pytensor.scalar.basic import Clip
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.math import Max, Min

from vi.graphs.cheaper import make_cheaper
from vi.graphs.jax_dispatch import jax_funcify

__all__ = ["ConversionError", "WrongGradientError", "jax_function"]


class ConversionError(NotImplementedError):
    """A graph has operations that cannot run in JAX; the message names them."""


@jax_funcify.register(Assert)
@jax_funcify.register(CheckParameterValue)
def _assertion_to_jax(op: Op, **_: Any) -> Callable[..., Any]:
    """An assertion passes its value through: it cannot stop compiled JAX code.

    A violated one shows in a value that is not finite.
    """

    def passed_through(value: Any, *conditions: Any) -> Any:
        return value

    return passed_through


class WrongGradientError(ConversionError):
    """A graph runs in JAX, with a gradient that contradicts itself."""


class Barrier(Op):
    """Identity that keeps XLA from recomputing its input in several fusions.

    Recomputed with different rounding, the input of a ``clip`` lies inside the bounds in one fusion
    and outside in another, and the reverse-mode gradient is wrong while the value is right. So it
    is with a maximum along an axis: none of the entries is equal to it, and the gradient, shared
    among those that are, is not a number.
    """

    __props__ = ()

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        outputs[0][0] = inputs[0]


@jax_funcify.register(Barrier)
def _barrier_to_jax(op: Op, **_: Any) -> Callable[..., Any]:
    return jax.lax.optimization_barrier


def jax_function(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Callable[..., Any]:
    """Convert a graph to a JAX function of its inputs that returns a tuple.

    Raises
    ------
    ConversionError
        If operations have no JAX conversion; all of them are named.
    """
    graph = FunctionGraph(inputs=list(inputs), outputs=list(outputs), clone=True)
    get_mode("JAX").optimizer.rewrite(graph)
    make_cheaper(graph)
    _guard_comparisons(graph)
    missing = _unconvertible(graph)
    if missing:
        raise ConversionError(f"no JAX conversion for {', '.join(missing)}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping .* as JAX tracing would remove it")
        function: Callable[..., Any] = jax_funcify(graph)
    return function


def _guard_comparisons(graph: FunctionGraph) -> None:
    """Put a barrier on the input of every ``clip``, and of every largest or smallest entry."""
    for node in list(graph.toposort()):
        clips = isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Clip)
        if clips or isinstance(node.op, Max | Min):
            source = node.inputs[0]
            graph.change_node_input(node, 0, Barrier()(source), reason="barrier")


def _unconvertible(graph: FunctionGraph) -> list[str]:
    """Names of operations without a JAX conversion, each with the variable it makes if named."""
    missing: dict[str, None] = {}
    for node in graph.toposort():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                jax_funcify(node.op, node=node, storage_map=None)
        except NotImplementedError:
            name = next((variable.name for variable in node.outputs if variable.name), None)
            text = str(node.op) if len(str(node.op)) <= 60 else type(node.op).__name__
            missing[text + (f" (of {name!r})" if name else "")] = None
        except Exception:  # noqa: BLE001
            # A node alone lacks what a conversion may look for in the whole graph. If it is a true
            # failure, the conversion of the graph reports it.
            continue
    return list(missing)
