"""Passes over PyTensor graphs: parts exchanged for others, and many draws computed at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import toposort
from pytensor.tensor.random.op import RandomVariable

__all__ = ["rebuilt", "remade"]

type Maker = Callable[[Apply, list[Any]], Sequence[Any]]


def remade(node: Apply, inputs: list[Any]) -> Sequence[Any]:
    """Outputs of a node's operation on other inputs, whose static shapes may differ from the old
    ones.
    """
    if all(new is old for new, old in zip(inputs, node.inputs, strict=True)):
        return list(node.outputs)
    if isinstance(node.op, RandomVariable):
        _check_length(node, inputs)
    try:
        outputs: list[Any] = node.clone_with_new_inputs(inputs, strict=False).outputs
    except TypeError:
        if not isinstance(node.op, OpFromGraph):
            raise
        return _inlined(node, inputs, remade)  # its inner graph is fixed to the old static shapes
    for old, new in zip(node.outputs, outputs, strict=True):
        new.name = new.name or old.name
    return outputs


def _check_length(node: Apply, inputs: list[Any]) -> None:
    """Refuse parameters that do not fit the variable's fixed size, before a compiled function
    fails on them.
    """
    size, parameters = inputs[1], inputs[2:]
    fixed = tuple(size.data) if isinstance(size, Constant) and size.data is not None else ()
    for parameter, rank in zip(parameters, node.op.ndims_params, strict=True):
        lengths = parameter.type.shape[: parameter.type.ndim - rank]
        for want, have in zip(fixed[::-1], lengths[::-1], strict=False):
            if have not in (None, 1, want):
                name = node.outputs[1].name or "a random variable"
                raise ValueError(
                    f"{name} has the fixed shape {tuple(map(int, fixed))} (that of its observed data, if its model "
                    f"gives none), but a parameter has {have} rows now: give {name} in the model a shape that follows "
                    "its parameters, as in pm.Normal(name, mu, 1, shape=mu.shape, observed=...)."
                )


def rebuilt(
    outputs: Sequence[Any], known: Mapping[Variable, Any], make: Maker = remade
) -> list[Any]:
    """The graphs of ``outputs`` with the variables ``known`` exchanged and every node made by
    ``make``.

    Parameters
    ----------
    outputs : sequence of Variable
        The graphs; they are not changed.
    known : mapping of variables
        What stands for a variable; its own graph is then not visited.
    make : callable, optional
        Given a node and what stands for its inputs, returns what stands for its outputs.

    Returns
    -------
    list of Variable
    """
    memo: dict[Variable, Any] = dict(known)
    for node in toposort(outputs, blockers=memo):
        made = make(node, [memo.get(variable, variable) for variable in node.inputs])
        for old, new in zip(node.outputs, made, strict=True):
            memo.setdefault(old, new)
    return [memo.get(output, output) for output in outputs]


def _inlined(node: Apply, inputs: list[Any], make: Maker) -> list[Any]:
    """Outputs of a node whose operation is a graph, as that graph."""
    inner = node.op.fgraph.unfreeze()  # its own nodes cannot be cloned one by one
    return rebuilt(inner.outputs, dict(zip(inner.inputs, inputs, strict=True)), make)
