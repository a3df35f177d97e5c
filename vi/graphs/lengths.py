"""Lengths that a graph fixed when it was written, and what is asserted of them, taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import graph_inputs, io_toposort
from pytensor.tensor.basic import Alloc
from pytensor.tensor.shape import SpecifyShape

__all__ = ["remade"]


def remade(graphs: Sequence[Any], mapping: dict[Variable, Any]) -> list[Any]:
    """The graphs with variables replaced, whatever their shapes; ``mapping`` grows by every
    variable that is made anew.

    What was asserted of shapes when the model was written no longer holds, and is left out.
    """
    for node in io_toposort(graph_inputs(graphs), list(graphs)) if mapping else ():
        if any(output in mapping for output in node.outputs) or not any(
            v in mapping for v in node.inputs
        ):
            continue
        inputs = [mapping.get(variable, variable) for variable in node.inputs]
        if isinstance(node.op, SpecifyShape) or _only_fixes_lengths(node):
            mapping[node.outputs[0]] = inputs[0]
        else:
            made = node.clone_with_new_inputs(inputs, strict=False).outputs
            for old, new in zip(node.outputs, made, strict=True):
                new.name = old.name
            mapping.update(zip(node.outputs, made, strict=True))
    return [mapping.get(graph, graph) for graph in graphs]


def _only_fixes_lengths(node: Apply) -> bool:
    """Whether a node broadcasts to a fixed shape what has this shape, as far as is known."""
    if not isinstance(node.op, Alloc) or node.inputs[0].type.ndim != node.outputs[0].type.ndim:
        return False
    return all(
        have in (None, want)
        for have, want in zip(node.inputs[0].type.shape, node.outputs[0].type.shape, strict=True)
    )


def without_assertions(term: Any) -> Any:
    """A term without its broadcast to the shape that the variable had when the model was
    written.
    """
    while term.owner is not None and isinstance(term.owner.op, Alloc | SpecifyShape):
        if term.owner.inputs[0].ndim != term.ndim:
            break
        term = term.owner.inputs[0]
    return term
