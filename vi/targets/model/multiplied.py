"""Variables that a model multiplies with others, as a non-centred hierarchy does its offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pymc as pm
import pytensor.scalar as ps
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

__all__ = ["factors_in"]

OF_SOME = (Subtensor, AdvancedSubtensor, DimShuffle)
"""Operations that take entries of a variable, or order them anew."""


def factors_in(model: pm.Model) -> Callable[[Variable], Any]:
    """What free variables are multiplied with, where a model uses them once.

    Parameters
    ----------
    model : pymc.Model
        The model.

    Returns
    -------
    callable
        It takes a free variable, and gives the product of all factors that depend on other free
        variables, a graph that broadcasts to the variable's shape; None where there are none, or
        where they are unknown. ``scale * (sign * offset)`` has the factor ``scale``, as has
        ``scale * offset[group]`` if ``scale`` is a number; ``offset / rate`` has ``1 / rate``.
    """
    used: dict[Variable, list[Apply]] = {}
    outputs = [*model.observed_RVs, *model.potentials, *model.free_RVs]
    free = set(model.free_RVs)
    for node in {v.owner: None for v in ancestors(outputs) if v.owner is not None}:
        for each in dict.fromkeys(node.inputs):
            used.setdefault(each, []).append(node)

    def factor(variable: Variable) -> Any:
        product: Any = None
        for one, divides in _factors(variable, used):
            behind = set(ancestors([one]))
            if variable in behind:
                return None
            if free & behind:
                one = 1.0 / one if divides else one
                product = one if product is None else product * one
        return product

    return factor


def _factors(variable: Any, used: dict[Variable, list[Apply]]) -> Iterator[tuple[Any, bool]]:
    """What it is multiplied with or divided by, as long as nothing else is done with it."""
    now, whole = variable, True
    while len(nodes := used.get(now, [])) == 1:
        node = nodes[0]
        kind = node.op.scalar_op if isinstance(node.op, Elemwise) else None
        if isinstance(kind, ps.Mul) and node.inputs.count(now) == 1:
            found = [(other, False) for other in node.inputs if other is not now]
        elif isinstance(kind, ps.TrueDiv) and node.inputs[0] is now is not node.inputs[1]:
            found = [(node.inputs[1], True)]
        elif isinstance(kind, ps.Identity):
            found = []
        elif isinstance(node.op, OF_SOME) and node.inputs[0] is now:
            found, whole = [], False
        else:
            return
        for other, divides in found:
            if all(other.type.broadcastable):
                yield other.reshape(()), divides
            elif whole and other.type.ndim == variable.type.ndim:
                yield other, divides
            else:
                return
        now = node.outputs[0]
