"""A float64 graph rebuilt in float32, so that PyTensor really computes in single precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import io_toposort
from pytensor.tensor.basic import Eye
from pytensor.tensor.elemwise import CAReduce, Elemwise
from pytensor.tensor.type import TensorType

__all__ = ["PrecisionError", "to_float32"]


class PrecisionError(TypeError):
    """A graph has an operation that computes in float64 only."""


def to_float32(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> tuple[list[Any], list[Any]]:
    """Rebuild a graph with every float64 input, constant and intermediate in float32.

    Parameters
    ----------
    inputs, outputs : sequences of variables
        The graph. All inputs of ``outputs`` that are not constants must be among ``inputs``.

    Returns
    -------
    inputs, outputs : lists of variables
        New inputs (float32 where they were float64), and the rebuilt outputs.

    Raises
    ------
    PrecisionError
        If an operation insists on float64; the message names it.
    """
    mapping: dict[Variable, Any] = {}
    for variable in inputs:
        mapping[variable] = _narrow_input(variable)
    for node in io_toposort(list(inputs), list(outputs)):
        arguments = [mapping[v] if v in mapping else _narrow_constant(v) for v in node.inputs]
        made = _narrow_op(node.op).make_node(*arguments)
        for old, new in zip(node.outputs, made.outputs, strict=True):
            if _is_double(new):
                raise PrecisionError(f"{node.op} computes in float64 only")
            mapping[old] = new
    return [mapping[v] for v in inputs], [mapping[v] if v in mapping else _narrow_constant(v) for v in outputs]


def _is_double(variable: Variable) -> bool:
    return getattr(variable.type, "dtype", None) == "float64"


def _narrow_input(variable: Variable) -> Any:
    if not _is_double(variable):
        return variable.type()
    return variable.type.clone(dtype="float32")(name=variable.name)


def _narrow_constant(variable: Variable) -> Any:
    if not isinstance(variable, Constant) or not _is_double(variable):
        return variable
    if isinstance(variable.type, TensorType):
        return pt.constant(np.asarray(variable.data, np.float32), name=variable.name)
    return variable.type.clone(dtype="float32").make_constant(np.float32(variable.data))


def _narrow_op(op: Any) -> Any:
    """The operation with its own float64 settings narrowed."""
    if isinstance(op, Elemwise):
        scalar_op = op.scalar_op
        if isinstance(scalar_op, ps.Cast) and scalar_op.o_type.dtype == "float64":
            return Elemwise(ps.convert_to_float32, inplace_pattern={})
        return op
    if isinstance(op, CAReduce):
        changed = {key: "float32" for key in ("dtype", "acc_dtype") if getattr(op, key, None) == "float64"}
        return op.clone(**changed) if changed else op
    if isinstance(op, Eye) and op.dtype == "float64":
        return Eye(dtype="float32")
    return op
