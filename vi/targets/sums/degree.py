"""The degree of the polynomial that a graph is in some of its variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pymc.logprob.utils import CheckParameterValue
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import toposort
from pytensor.raise_op import Assert
from pytensor.scalar import basic as scalar
from pytensor.tensor.basic import Alloc, Join, MakeVector
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.linalg.solvers.core import SolveBase
from pytensor.tensor.math import Dot
from pytensor.tensor.reshape import JoinDims, SplitDims
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

__all__ = ["degree", "is_elementwise"]

type Rule = Callable[[Sequence[float]], float]
"""The degree of what an operation makes of inputs of some degrees, one of which is not 0."""


def _first(degrees: Sequence[float]) -> float:
    """Of operations on the first input whose others are shapes, indices, conditions or factors."""
    return degrees[0] if not any(degrees[1:]) else math.inf


def _last(degrees: Sequence[float]) -> float:
    return max(degrees[1:]) if not degrees[0] else math.inf


_BY_OPERATION: tuple[tuple[Any, Rule], ...] = (
    ((Shape, Shape_i), lambda degrees: 0),
    ((DimShuffle, Reshape, JoinDims, SplitDims, SpecifyShape, Alloc), _first),
    ((Subtensor, AdvancedSubtensor, Assert, CheckParameterValue), _first),
    ((Join, MakeVector), max),
    (Dot, sum),
    (SolveBase, _last),
)
_BY_SCALAR_OPERATION: tuple[tuple[Any, Rule], ...] = (
    ((scalar.Add, scalar.Sub, scalar.Neg, scalar.Identity, scalar.Second), max),
    (scalar.Mul, sum),
    (scalar.TrueDiv, _first),
    (scalar.Sqr, lambda degrees: 2 * degrees[0]),
    (scalar.Switch, _last),
)


def degree(graph: Any, variables: Iterable[Variable], fixed: Iterable[Variable] = ()) -> float:
    """The degree in which some variables enter a graph, at the most; infinity where not known.

    A sum over rows of a function of degree two in the rows depends on their number, mean and
    covariance alone.

    Parameters
    ----------
    graph : Variable
        The graph.
    variables : iterable of Variable
        The variables, all of them together.
    fixed : iterable of Variable
        What counts as of degree 0, whatever it is computed from.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> x, y, b = pt.vectors("x", "y", "b")
    >>> degree((y - b * x) ** 2, [x, y]), degree(pt.exp(x) * y, [y]), degree(pt.exp(x), [x])
    (2.0, 1, inf)
    """
    degrees: dict[Variable, float] = dict.fromkeys(fixed, 0)
    degrees.update(dict.fromkeys(variables, 1))
    for node in toposort([graph], blockers=list(degrees)):
        found = _of_node(node, [degrees.get(variable, 0) for variable in node.inputs])
        if not found <= 2:
            # shapes and indices may come from what is of no degree, the result must not
            found = math.inf
        for output in node.outputs:
            degrees.setdefault(output, found)
    return degrees.get(graph, 0)


def is_elementwise(graph: Any, variable: Variable, fixed: Iterable[Variable] = ()) -> bool:
    """Whether an entry of a variable reaches the entry of the graph at its own place alone."""
    reached = {variable}
    for node in toposort([graph], blockers=[variable, *fixed]):
        if reached.isdisjoint(node.inputs) or isinstance(node.op, Shape | Shape_i):
            continue
        kept = isinstance(node.op, Elemwise | SpecifyShape | Alloc | Assert | CheckParameterValue)
        if not kept or node.outputs[0].type.ndim != variable.type.ndim:
            return False
        reached.update(node.outputs)
    return True


def _of_node(node: Apply, degrees: list[float]) -> float:
    if not any(degrees):
        return 0
    op = node.op.core_op if isinstance(node.op, Blockwise) else node.op
    if isinstance(op, Elemwise):
        return _of_scalar(node, op.scalar_op, degrees)
    if isinstance(op, CAReduce):
        return degrees[0] if isinstance(op.scalar_op, scalar.Add) else math.inf
    return _by_rule(_BY_OPERATION, op, degrees)


def _of_scalar(node: Apply, op: Any, degrees: list[float]) -> float:
    if isinstance(op, scalar.Cast):
        return degrees[0] if str(node.outputs[0].dtype).startswith("float") else math.inf
    if isinstance(op, scalar.Pow):
        power = None if degrees[1] else _constant(node.inputs[1])
        return degrees[0] * power if power in (0, 1, 2) else math.inf
    return _by_rule(_BY_SCALAR_OPERATION, op, degrees)


def _by_rule(rules: Sequence[tuple[Any, Rule]], op: Any, degrees: list[float]) -> float:
    return next((rule(degrees) for kinds, rule in rules if isinstance(op, kinds)), math.inf)


def _constant(variable: Variable) -> float | None:
    """The number that a constant holds, or one that is broadcast."""
    while variable.owner is not None and isinstance(variable.owner.op, DimShuffle | Alloc):
        variable = variable.owner.inputs[0]
    if not isinstance(variable, Constant) or variable.data.size != 1:
        return None
    return float(variable.data.item())
