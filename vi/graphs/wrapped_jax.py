"""JAX functions that users wrapped for PyTensor, as operations of the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from pytensor.graph.basic import Apply, Variable
from pytensor.link.jax.ops import JAXOp
from pytensor.tensor.basic import MakeVector
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce

from vi.graphs.jax_function import JaxFunction, in_precision_of
from vi.graphs.jax_op import JaxOp
from vi.graphs.jax_vectorized import Vectorized
from vi.graphs.rebuild import named, on_inputs, rebuild, unchanged

__all__ = ["Wrapped", "function_of", "jax_op_node", "with_jax_ops"]


@dataclass(frozen=True)
class Wrapped(JaxFunction):
    """What is inside an operation of ``pytensor.wrap_jax``.

    Parameters
    ----------
    call : callable
        A function of arrays that returns a tuple.
    kinds : tuple of TensorType
        Types of its outputs, as found when it was wrapped. If JAX's 64-bit mode was off then, they
        are too narrow: what the library makes of them is as precise as the inputs.
    name : str
        The user's name of the function.
    """

    call: Callable[..., Any]
    kinds: tuple[Any, ...]
    name: str

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        return tuple(self.call(*inputs))

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return in_precision_of(inputs, self.kinds)

    @property
    def label(self) -> str:
        return self.name


def with_jax_ops(outputs: Sequence[Any]) -> list[Any]:
    """The graphs with :class:`JaxOp` in place of every operation of ``pytensor.wrap_jax``.

    It computes value and gradient of a scalar in one call, follows the precision of its inputs, is
    vectorised as a whole, and has no need of JAX's process-wide 64-bit switch.

    Parameters
    ----------
    outputs : sequence of Variable
        The graphs; they are not changed.

    Returns
    -------
    list of Variable
    """
    return rebuild(outputs, {}, _with_jax_op)


def jax_op_node(node: Apply, inputs: Sequence[Any]) -> Apply | None:
    """The node of a :class:`JaxOp` in place of one of ``pytensor.wrap_jax``, None for any other."""
    function = function_of(node)
    return None if function is None else JaxOp(function).make_node(*inputs)


def _with_jax_op(node: Apply, inputs: list[Any]) -> list[Any] | None:
    """A maker: a :class:`JaxOp` in place of a wrapped function, any other node on its inputs."""
    new = jax_op_node(node, inputs)
    if new is not None:
        return named(node, new.outputs)
    return None if unchanged(node, inputs) else _on_wider_inputs(node, inputs)


def function_of(node: Apply) -> JaxFunction | None:
    """The JAX function that a node wraps, if it is one of PyTensor's for JAX functions."""
    op: Any = node.op
    if isinstance(op, JAXOp):
        return _wrapped(op)
    if isinstance(op, Blockwise) and isinstance(op.core_op, JAXOp):
        core = _wrapped(op.core_op)
        return Vectorized(core, tuple(kind.ndim for kind in op.core_op.input_types), core.kinds)
    return None


def _wrapped(op: Any) -> Wrapped:
    return Wrapped(op.jax_func, op.output_types, op.name or "a JAX function")


def _on_wider_inputs(node: Apply, inputs: list[Any]) -> list[Any]:
    """Outputs of a node's operation on inputs that may be more precise than the old ones."""
    op: Any = node.op
    wider = any(
        new.type.dtype == "float64" != old.type.dtype for new, old in _typed(inputs, node.inputs)
    )
    if wider and isinstance(op, CAReduce):
        # a reduction keeps the precision of the inputs that it was made for
        changed = {
            key: "float64" for key in ("dtype", "acc_dtype") if getattr(op, key, None) == "float32"
        }
        return named(node, (op.clone(**changed) if changed else op).make_node(*inputs).outputs)
    if wider and isinstance(op, MakeVector):
        return named(node, MakeVector("float64").make_node(*inputs).outputs)
    try:
        return on_inputs(node, inputs)
    except TypeError:
        # an operation with a fixed signature (a Scan, say) takes its old types only
        same = [
            new.astype(old.type.dtype)
            if new is not old and new.type.dtype != old.type.dtype
            else new
            for new, old in zip(inputs, node.inputs, strict=True)
        ]
        return on_inputs(node, same)


def _typed(news: Sequence[Any], olds: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Pairs of variables that have a dtype."""
    return [pair for pair in zip(news, olds, strict=True) if hasattr(pair[0].type, "dtype")]
