"""Graphs with operations on named dimensions (pymc.dims), as graphs of plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import applys_between
from pytensor.xtensor.type import XTensorType

__all__ = ["without_named_dims"]


def without_named_dims(inputs: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
    """The outputs with operations on named dimensions lowered to plain ones, in the given graph.

    Only plain ones have gradients.
    """
    nodes = applys_between(list(inputs), list(outputs))
    if any(isinstance(variable.type, XTensorType) for node in nodes for variable in node.inputs):
        outputs = rewrite_graph(list(outputs), include=("lower_xtensor",))
    return list(outputs)
