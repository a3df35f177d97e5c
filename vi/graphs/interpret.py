"""Graphs evaluated once, without compiling them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.traversal import graph_inputs
from pytensor.link.vm import VMLinker
from pytensor.scalar.basic import Add, Mul
from pytensor.scan.op import Scan
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorConstant

from vi.graphs.compiling import compiling
from vi.graphs.rebuild import inline, on_inputs, rebuild, unchanged

__all__ = ["SPLIT", "interpret", "interpreted"]

LARGE = 2**20
"""Bytes of a constant from which on to hash it, some times a function, takes milliseconds."""

MOST_INPUTS = 31
"""NumPy's functions take 32 arrays, the result among them."""


@node_rewriter([Elemwise])
def _split_wide(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """A sum or product of many terms as one of partial ones.

    Rewriting has flattened what a model wrote as ``a + b + c + ...`` into one operation.
    """
    if not isinstance(node.op.scalar_op, Add | Mul) or len(node.inputs) <= MOST_INPUTS:
        return None
    parts: list[Variable] = list(node.inputs)
    while len(parts) > 1:
        groups = [parts[i : i + MOST_INPUTS] for i in range(0, len(parts), MOST_INPUTS)]
        parts = [node.op(*group) if len(group) > 1 else group[0] for group in groups]
    return parts


SPLIT = (dfs_rewriter(_split_wide), 100.0)
"""For ``Mode.register``: at a position after PyTensor's rewrites, which flatten."""

_INTERPRETER = Mode(linker="py", optimizer="fast_compile").register(SPLIT)
_AS_WRITTEN = Mode(linker="py", optimizer=None)
"""Without rewrites, which take as long as all the rest of one evaluation."""

_STABLE = Mode(
    linker="py",
    optimizer=RewriteDatabaseQuery(
        include=["fast_run"], exclude=["cxx_only", "BlasOpt", "fusion", "inplace"]
    ),
)
"""The rewrites that compiled code has: logarithms of what overflows or is 0 need these."""

_OF_A_LOOP = Mode(VMLinker(use_cloop=False, c_thunks=False), optimizer="fast_compile").register(
    SPLIT
)
"""The same for the inner graph of a scan, which insists on this linker."""


def interpret(
    inputs: Sequence[Variable], outputs: Sequence[Variable], values: Sequence[np.ndarray]
) -> list[Any]:
    """Values of graphs, without compiling anything.

    As they are written; where that does not work, or gives what is not finite, as they are
    rewritten: a few operations are there for rewrites alone, and some logarithms need theirs. What
    is not finite then is not finite in compiled code either.
    """
    graphs = _with_new_constants(inputs, rebuild(outputs, {}, _interpretable))
    try:
        results = list(_function(inputs, graphs, _AS_WRITTEN)(*values))
    except Exception:  # noqa: BLE001 (it is raised again if it is not for want of rewrites)
        results = []
    if results and all(map(_is_finite, results)):
        return results
    results = list(_function(inputs, graphs, _INTERPRETER)(*values))
    if all(map(_is_finite, results)):
        return results
    inputs, graphs = _stabilised(inputs, outputs)
    return list(_function(inputs, rebuild(graphs, {}, _interpretable), _INTERPRETER)(*values))


def interpreted(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Callable[..., Any]:
    """A function of the inputs that computes graphs without compiling anything."""
    graphs = _with_new_constants(inputs, rebuild(outputs, {}, _interpretable))
    return _function(inputs, graphs, _INTERPRETER)


def _stabilised(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> tuple[list[Variable], list[Variable]]:
    """Inputs and outputs of the graph after all rewrites.

    Operations with a graph in them are whole until then: a softmax, for example, is one whose
    logarithm PyTensor knows.
    """
    outputs = _with_new_constants(inputs, outputs)
    others = [
        variable
        for variable in graph_inputs(outputs, blockers=inputs)
        if not isinstance(variable, Constant) and variable not in inputs
    ]
    graph = FunctionGraph([*inputs, *others], outputs, clone=True)
    _STABLE.optimizer.rewrite(graph)
    return list(graph.inputs[: len(inputs)]), list(graph.outputs)


def _is_finite(result: Any) -> bool:
    array = np.asarray(result)
    return array.dtype.kind not in "fc" or bool(np.all(np.isfinite(array)))


def _function(inputs: Sequence[Variable], graphs: Sequence[Any], mode: Mode) -> Callable[..., Any]:
    with compiling():
        function: Callable[..., Any] = pytensor.function(
            list(inputs), list(graphs), mode=mode, on_unused_input="ignore"
        )
    return function


def _with_new_constants(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> list[Any]:
    """The same graphs with constants of their own, without tags; large ones as shared variables.

    PyTensor's rewrite of switches doubles the stack trace in the tag of a constant each time; after
    some thirty functions of one model's graph memory would be full (PyTensor 3.3.7).
    """
    constants = {
        variable: _anew(variable)
        for variable in graph_inputs(outputs, blockers=inputs)
        if isinstance(variable, Constant) and variable not in inputs
    }
    return clone_replace(list(outputs), replace=constants) if constants else list(outputs)


def _anew(constant: Constant) -> Variable:
    """A constant of its own, or a shared variable: PyTensor reads all of a constant to hash it."""
    data = constant.data
    if isinstance(constant, TensorConstant) and data.nbytes >= LARGE and data.dtype != bool:
        shared: Variable = pytensor.shared(data, constant.name, shape=data.shape, borrow=True)
        return shared
    new: Variable = constant.type.constant_type(constant.type, data, name=constant.name)
    return new


def _interpretable(node: Apply, inputs: list[Any]) -> Sequence[Any] | None:
    """A node whose inner graph would be compiled, as one whose inner graph is not.

    PyTensor links inner graphs by a mode of its own choice, unless the operation has one.
    """
    if isinstance(node.op, OpFromGraph):
        return inline(node, inputs, _interpretable)
    if isinstance(node.op, Scan):
        op = copy.copy(node.op)
        inner = op.fgraph.unfreeze()
        outputs = rebuild(inner.outputs, {}, _interpretable)
        op = op.clone_with_inner_graph(FunctionGraph(inner.inputs, outputs, clone=True).freeze())
        op.mode = _OF_A_LOOP
        of_loop: Sequence[Any] = op.make_node(*inputs).outputs
        return of_loop
    return None if unchanged(node, inputs) else on_inputs(node, inputs)
