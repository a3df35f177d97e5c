"""Checks of parameters in a log density: minus infinity in place of an exception."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.logprob.utils import CheckParameterValue
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import graph_inputs, io_toposort

__all__ = ["checks_as_densities"]


def checks_as_densities(outputs: list[Any]) -> list[Any]:
    """The graphs with PyMC's checks of parameters turned into a density of zero where they fail, as
    PyMC compiles them.

    Otherwise a negative shape, say, would be an exception on one backend and a finite density on
    the other.
    """
    mapping: dict[Variable, Any] = {}
    for node in io_toposort(graph_inputs(outputs), outputs):
        arguments = [mapping.get(variable, variable) for variable in node.inputs]
        if isinstance(node.op, CheckParameterValue) and node.op.can_be_replaced_by_ninf:
            value, *conditions = arguments
            made = [value]
            if _ZERO_SUM not in node.op.msg:
                made = [pt.switch(reduce(pt.and_, conditions), value, -np.inf).astype(value.dtype)]
        elif all(new is old for new, old in zip(arguments, node.inputs, strict=True)):
            continue
        else:
            made = node.clone_with_new_inputs(arguments).outputs
        mapping.update(zip(node.outputs, made, strict=True))
    return [mapping.get(output, output) for output in outputs]


_ZERO_SUM = "n_zerosum_axes"
"""In the message of a check that holds by the variable's transform, though in float32 not within
its tolerance.
"""
