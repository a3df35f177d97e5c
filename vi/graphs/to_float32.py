"""A float64 graph rebuilt in float32, so that PyTensor really computes in single precision."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.scalar as ps
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.scan.op import Scan
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.type import integer_dtypes

from vi.graphs.rebuild import rebuild

__all__ = ["PrecisionError", "to_float32"]


class PrecisionError(TypeError):
    """A graph has an operation that computes in float64 only."""


def to_float32(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> tuple[list[Any], list[Any]]:
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
    stand_ins: dict[Variable, Any] = {variable: _narrow_input(variable) for variable in inputs}
    narrow = rebuild(outputs, stand_ins, _in_float32)
    return [stand_ins[variable] for variable in inputs], [_narrow_constant(new) for new in narrow]


def _in_float32(node: Apply, inputs: list[Any]) -> list[Any]:
    """A maker: a node's operation on narrowed inputs, refused where it still gives float64."""
    outputs = _narrowed(node.op, [_narrow_constant(variable) for variable in inputs])
    if any(map(_is_double, outputs)):
        raise PrecisionError(f"{_name(node.op)} computes in float64 only; use dtype='float64'")
    return outputs


def _narrowed(op: Any, inputs: list[Any]) -> list[Any]:
    """Outputs of an operation, with its own settings narrowed too, on narrowed inputs."""
    try:
        if isinstance(op, Scan):
            inner = to_float32(op.inner_inputs, op.inner_outputs)
            narrow = Scan(
                *inner, op.info, mode=op.mode, truncate_gradient=op.truncate_gradient, name=op.name
            )
        elif isinstance(op, OpFromGraph):
            return _narrowed_graph(op, inputs)
        else:
            narrow = _narrow_op(op)
        outputs: list[Any] = narrow.make_node(*inputs).outputs
        if isinstance(op, Elemwise | Dot) and any(map(_is_double, outputs)):
            # int64 and float32 make float64
            return list(narrow.make_node(*map(_without_integers, inputs)).outputs)
    except TypeError as error:
        raise PrecisionError(
            f"{_name(op)} takes no float32, use dtype='float64': {error}"
        ) from error
    return outputs


def _narrowed_graph(op: Any, inputs: list[Any]) -> list[Any]:
    """Outputs of an operation that is a graph: rebuilt for other types, or else its inner graph."""
    try:
        outputs: list[Any] = op(*inputs, return_list=True)
    except TypeError:
        outputs = []
    if outputs and not any(map(_is_double, outputs)):
        return outputs
    inner_inputs, inner_outputs = to_float32(op.inner_inputs, op.inner_outputs)
    return list(clone_replace(inner_outputs, replace=dict(zip(inner_inputs, inputs, strict=True))))


def _name(op: Any) -> str:
    text = str(op)
    return text if len(text) <= 60 else type(op).__name__


def _is_double(variable: Variable) -> bool:
    return getattr(variable.type, "dtype", None) == "float64"


def _without_integers(variable: Any) -> Any:
    return variable.astype("float32") if variable.dtype in integer_dtypes else variable


def _narrow_input(variable: Variable) -> Any:
    if not _is_double(variable):
        return variable.type()
    return variable.type.clone(dtype="float32")(name=variable.name)


def _narrow_constant(variable: Variable) -> Any:
    if not isinstance(variable, Constant) or not _is_double(variable):
        return variable
    data: Any = variable.data
    data = data.astype(np.float32) if hasattr(data, "astype") else np.float32(data)
    return variable.type.clone(dtype="float32").make_constant(data, name=variable.name)


def _narrow_op(op: Any) -> Any:
    """The operation with its own float64 settings narrowed."""
    if isinstance(op, Elemwise):
        scalar_op = op.scalar_op
        if isinstance(scalar_op, ps.Cast) and scalar_op.o_type.dtype == "float64":
            return Elemwise(ps.convert_to_float32, inplace_pattern={})
        return op
    if isinstance(op, CAReduce):
        changed = {
            key: "float32" for key in ("dtype", "acc_dtype") if getattr(op, key, None) == "float64"
        }
        return op.clone(**changed) if changed else op
    if isinstance(op, Blockwise):
        return Blockwise(_narrow_op(op.core_op), signature=op.signature, name=op.name)
    if getattr(op, "dtype", None) == "float64":  # Eye, MakeVector, ARange, AllocEmpty
        narrow = copy.copy(op)
        narrow.dtype = "float32"
        return narrow
    return op
