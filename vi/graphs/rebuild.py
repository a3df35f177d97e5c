"""The one pass over PyTensor graphs: variables exchanged, and every node made anew by a maker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import toposort
from pytensor.tensor.random.op import RandomVariable

__all__ = ["Maker", "extend", "inline", "named", "on_inputs", "rebuild", "remake", "unchanged"]

type Maker = Callable[[Apply, list[Any]], Sequence[Any] | None]
"""Given a node and what stands for its inputs, returns what stands for its outputs, or None where
the node stays as it is.
"""


def remake(node: Apply, inputs: list[Any]) -> Sequence[Any]:
    """Outputs of a node's operation on inputs whose static shapes may differ from the old ones."""
    if unchanged(node, inputs):
        return list(node.outputs)
    if isinstance(node.op, RandomVariable):
        _check_length(node, inputs)
    try:
        return on_inputs(node, inputs)
    except TypeError:
        if not isinstance(node.op, OpFromGraph):
            raise
        return inline(node, inputs, remake)  # its inner graph is fixed to the old static shapes


def rebuild(
    outputs: Sequence[Any], stand_ins: Mapping[Variable, Any], make: Maker = remake
) -> list[Any]:
    """The graphs of ``outputs`` with some variables exchanged, and every node made anew.

    Parameters
    ----------
    outputs : sequence of Variable
        The graphs; they are not changed.
    stand_ins : mapping of variables
        What stands for a variable; its own graph is then not visited.
    make : callable, optional
        Given a node and what stands for its inputs, returns what stands for its outputs, or None
        where the node stays. It is called for every node, from the inputs to the outputs.

    Returns
    -------
    list of Variable
    """
    return extend(dict(stand_ins), outputs, make)


def extend(stand_ins: dict[Variable, Any], outputs: Sequence[Any], make: Maker) -> list[Any]:
    """What :func:`rebuild` does, remembered: ``stand_ins`` grows by all that is made anew.

    Graphs that share nodes and are rebuilt one after the other then go on sharing them.
    """
    for node in toposort(outputs, blockers=stand_ins):
        new = make(node, [stand_ins.get(variable, variable) for variable in node.inputs])
        if new is None:
            continue
        for old, other in zip(node.outputs, new, strict=True):
            stand_ins.setdefault(old, other)  # of a node with several outputs some may be exchanged
    return [stand_ins.get(output, output) for output in outputs]


def unchanged(node: Apply, inputs: Sequence[Any]) -> bool:
    """Whether a node would be made on the inputs that it has."""
    return all(new is old for new, old in zip(inputs, node.inputs, strict=True))


def on_inputs(node: Apply, inputs: list[Any], *, strict: bool = False) -> list[Any]:
    """Outputs of a node's operation on other inputs, with the old names.

    Where ``strict``, inputs are converted to the old types, so that outputs have theirs too.
    """
    return named(node, node.clone_with_new_inputs(inputs, strict=strict).outputs)


def named(node: Apply, outputs: list[Any]) -> list[Any]:
    """New outputs in place of a node's, named like these: messages and printed graphs say them."""
    for old, new in zip(node.outputs, outputs, strict=True):
        new.name = new.name or old.name
    return outputs


def inline(node: Apply, inputs: list[Any], make: Maker) -> list[Any]:
    """Outputs of a node whose operation is a graph, as that graph."""
    inner = node.op.fgraph.unfreeze()  # its own nodes cannot be cloned one by one
    return rebuild(inner.outputs, dict(zip(inner.inputs, inputs, strict=True)), make)


def _check_length(node: Apply, inputs: list[Any]) -> None:
    """Refuse parameters that do not fit a variable's fixed size, before compiled code fails."""
    size, parameters = inputs[1], inputs[2:]
    fixed = tuple(size.data) if isinstance(size, Constant) and size.data is not None else ()
    for parameter, rank in zip(parameters, node.op.ndims_params, strict=True):
        lengths = parameter.type.shape[: parameter.type.ndim - rank]
        for want, have in zip(fixed[::-1], lengths[::-1], strict=False):
            if have not in (None, 1, want):
                name = node.outputs[1].name or "a random variable"
                raise ValueError(
                    f"{name} has the fixed shape {tuple(map(int, fixed))} (that of its observed "
                    f"data, if its model gives none), but a parameter has {have} rows now: give "
                    f"{name} in the model a shape that follows its parameters, as in "
                    "pm.Normal(name, mu, 1, shape=mu.shape, observed=...)."
                )
