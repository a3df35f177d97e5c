"""PyTensor's gradient of a log density, with operations that have none named."""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt
from pytensor.gradient import NullTypeGradError
from pytensor.graph.op import Op
from pytensor.graph.traversal import applys_between

__all__ = ["gradient"]


def gradient(log_prob: Any, flat: Any) -> Any:
    """The gradient of a scalar graph in a vector.

    It does not pass through whole numbers and truth values, whose derivative is 0 where there is
    one: PyTensor's own passes a 0 on through ``sqrt(x - 10) < 3``, which is NaN for x below 10.

    Raises
    ------
    NotImplementedError
        If an operation has no gradient; the message names it and says what to add.
    """
    whole = [
        variable
        for node in applys_between([flat], [log_prob])
        for variable in node.outputs
        if getattr(variable.type, "dtype", "float").startswith(("bool", "int", "uint"))
    ]
    try:
        return pt.grad(log_prob, flat, consider_constant=whole, disconnected_inputs="ignore")
    except (NotImplementedError, NullTypeGradError) as error:
        ops = {node.op: None for node in applys_between([flat], [log_prob]) if _has_none(node.op)}
        what = " and ".join(type(op).__name__ for op in ops)
        raise NotImplementedError(
            f"The log density has no gradient: {f'{what} has none' if what else error}. Give the "
            "Op a method `pullback(self, inputs, outputs, cotangents)` that returns, for each "
            "input, the derivative times the cotangent (a second Op, or further outputs of the "
            "same Op, may compute the derivative); or write it in JAX and wrap it by "
            "pytensor.wrap_jax; or register its JAX form with "
            "pytensor.link.jax.dispatch.jax_funcify and use backend='jax'."
        ) from error


def _has_none(op: Any) -> bool:
    """Whether none of the methods is there with which PyTensor differentiates."""
    return all(
        getattr(type(op), name) is getattr(Op, name) for name in ("pullback", "L_op", "grad")
    )
