"""A JAX function for many values of its inputs at once, for PyTensor's vectorisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.utils import safe_signature

from vi.graphs.jax_function import JaxFunction, in_precision_of
from vi.graphs.jax_op import JaxOp

__all__ = ["Vectorized"]


@dataclass(frozen=True)
class Vectorized(JaxFunction):
    """A function over leading dimensions of its inputs, which broadcast: ``jax.vmap``.

    Parameters
    ----------
    of : JaxFunction
        The function.
    ranks : tuple of int
        The inputs' numbers of dimensions in one call.
    kinds : tuple of TensorType
        The outputs' types in one call.
    """

    of: JaxFunction
    ranks: tuple[int, ...]
    kinds: tuple[Any, ...]

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        def one(*arguments: Any) -> Any:
            outputs = self.of(*arguments)
            return outputs if len(outputs) > 1 else outputs[0]

        outputs = jnp.vectorize(
            one, signature=safe_signature(self.ranks, [kind.ndim for kind in self.kinds])
        )(*inputs)
        return outputs if len(self.kinds) > 1 else (outputs,)

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        depth = max(v.type.ndim - rank for v, rank in zip(inputs, self.ranks, strict=True))
        return [
            kind.clone(shape=(*[None] * depth, *kind.shape))
            for kind in in_precision_of(inputs, self.kinds)
        ]

    @property
    def label(self) -> str:
        return f"vectorised {self.of.label}"


@_vectorize_node.register(JaxOp)
def _vectorized(op: JaxOp, node: Apply, *inputs: Any) -> Apply:
    if op.function.static:
        raise NotImplementedError(f"{op.function.label} has inputs that decide shapes")
    ranks = tuple(variable.type.ndim for variable in node.inputs)
    kinds = tuple(variable.type for variable in node.outputs)
    return JaxOp(Vectorized(op.function, ranks, kinds)).make_node(*inputs)
