"""Lengths that a graph fixed when it was written, and what it asserts of them, taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytensor.graph.basic import Apply, Variable
from pytensor.tensor.basic import Alloc
from pytensor.tensor.shape import SpecifyShape

from vi.graphs.rebuild import extend, on_inputs

__all__ = ["rebuild_with_other_lengths", "with_open_rows", "without_broadcasts"]


def rebuild_with_other_lengths(graphs: Sequence[Any], stand_ins: dict[Variable, Any]) -> list[Any]:
    """The graphs with variables exchanged for others, whatever the shapes of these.

    Shapes that were asserted when the model was written do not hold of what depends on the
    exchanged variables, and are left out there.

    Parameters
    ----------
    graphs : sequence of Variable
        The graphs; they are not changed.
    stand_ins : dict of variables
        What stands for a variable (perhaps itself: then shapes are left out of what depends on it).
        It grows by every variable that is made anew.

    Returns
    -------
    list of Variable
    """

    def make(node: Apply, inputs: list[Any]) -> list[Any] | None:
        if not any(variable in stand_ins for variable in node.inputs):
            return None
        if isinstance(node.op, SpecifyShape) or _only_fixes_lengths(node):
            return inputs[:1]
        return on_inputs(node, inputs)

    return extend(stand_ins, graphs, make)


def with_open_rows(variable: Any) -> Any:
    """A variable of the same type and name whose number of rows, the first axis, is open."""
    return variable.type.clone(shape=(None, *variable.type.shape[1:]))(name=variable.name)


def without_broadcasts(term: Any) -> Any:
    """A term without its outermost broadcasts: to the variable's shape in the model as written.

    What repeats an entry stays: of a term it is a part, and counts as often.
    """
    while term.owner is not None and isinstance(term.owner.op, Alloc | SpecifyShape):
        inner = term.owner.inputs[0]
        if inner.ndim != term.ndim or _repeats(inner, term):
            break
        term = inner
    return term


def _repeats(inner: Any, outer: Any) -> bool:
    """Whether a broadcast makes several of one, as far as is known."""
    pairs = zip(inner.type.shape, outer.type.shape, strict=True)
    return any(have == 1 and want != 1 for have, want in pairs)


def _only_fixes_lengths(node: Apply) -> bool:
    """Whether a node broadcasts to a fixed shape what has this shape, as far as is known."""
    if not isinstance(node.op, Alloc) or node.inputs[0].type.ndim != node.outputs[0].type.ndim:
        return False
    return all(
        have in (None, want)
        for have, want in zip(node.inputs[0].type.shape, node.outputs[0].type.shape, strict=True)
    )
