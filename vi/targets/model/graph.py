"""The model as PyTensor graphs of one flat vector, with large data lifted out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.pytensorf import rvs_in_graph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.type import TensorType
from pytensor.xtensor.type import XTensorType, as_xtensor

from vi.foundation.layout import Layout
from vi.graphs.parameter_checks import checks_as_densities
from vi.graphs.replacements import check_replacements
from vi.graphs.wrapped_jax import with_jax_ops
from vi.targets.batches.density import in_setting
from vi.targets.batches.local_rows import of_any_length
from vi.targets.batches.rows import Rows, StreamedRows
from vi.targets.batches.search import find_batches, has_batches
from vi.targets.batches.setting import GraphSetting
from vi.targets.model.checks import check_variables, refuse_random_inputs, refuse_whole_numbers
from vi.targets.model.data_watch import DataWatch
from vi.targets.model.layout_from import layout_from
from vi.targets.sums.derived import Derivation, DerivedVariable

__all__ = ["ModelGraph", "build_graph", "pieces_of"]

logger = logging.getLogger("vi")

LIFTED_BYTES = 1024
"""Constants of this size and more become arguments of the compiled code.

Compilers fold constants: gigabytes of data would be copied, and operations on them computed while
compiling. A few numbers are better folded.
"""


@dataclass(frozen=True, eq=False)
class ModelGraph:
    """Graphs of a model in terms of one flat vector.

    Parameters
    ----------
    layout : Layout
        Where each variable lies in the flat vector.
    flat : TensorVariable
        The symbolic vector ``z``.
    log_prob : TensorVariable
        Scalar ``log p(z)``, log Jacobian determinants included.
    variables : dict of {str: TensorVariable}
        The model's free variables and deterministics, constrained, as functions of ``z``.
    shared : tuple of SharedVariable
        What else the graphs read: the model's data and its lifted constants. Their values are
        arguments of compiled code.
    baked : tuple of (SharedVariable, value)
        Shared variables that had to become constants (lengths of dims, masks); the graph is stale
        when one changes.
    rows : tuple of Rows
        Minibatches; their row numbers are arguments of the log density.
    streamed : StreamedRows, optional
        Containers whose rows come from a stream; they are the last arguments of the log density.
    local : dict of {str: Rows}
        The rows with which each local variable goes.
    encoded : dict of {str: tuple of TensorVariable}
        The data of the rows from which an encoder computes the q of a local variable.
    """

    layout: Layout
    flat: Any
    log_prob: Any
    variables: dict[str, Any]
    shared: tuple[SharedVariable, ...]
    baked: tuple[tuple[SharedVariable, Any], ...]
    rows: tuple[Rows, ...] = ()
    streamed: StreamedRows | None = None
    local: dict[str, Rows] = field(default_factory=dict)
    encoded: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def inputs(self) -> list[Any]:
        """What the log density reads: the flat vector, shared variables, what a step brings."""
        return [self.flat, *self.shared, *self.per_step]

    @property
    def per_step(self) -> list[Any]:
        """The inputs that change from step to step: row numbers, then streamed rows."""
        return [
            *(rows.index for rows in self.rows),
            *(self.streamed.inputs.values() if self.streamed else ()),
        ]

    @property
    def data(self) -> list[SharedVariable]:
        """The shared variables that the graphs read, and those from which others are computed."""
        behind = [source for derivation in self._derivations for source in derivation.sources]
        return _unique([*self.shared, *behind])

    @property
    def _derivations(self) -> list[Derivation]:
        """What the values of shared variables follow from, each once."""
        found = [v.derivation for v in self.shared if isinstance(v, DerivedVariable)]
        return list(dict.fromkeys(derivation for derivation in found if derivation is not None))

    def watch(self) -> DataWatch:
        """A watch of everything that the graphs read, or have compiled in, from now on."""
        own = [variable for variable in self.data if not isinstance(variable, DerivedVariable)]
        return DataWatch([*own, *(variable for variable, _ in self.baked)])

    def stale(self) -> tuple[str, ...]:
        """Names of what was compiled in and is no longer true: values, sums over few rows."""
        changed = [
            variable.name or "a shared variable"
            for variable, value in self.baked
            if not np.array_equal(variable.get_value(borrow=True), value)
        ]
        return (
            *changed,
            *(derivation.name for derivation in self._derivations if derivation.lost()),
        )


def build_graph(
    model: pm.Model,
    initial: Mapping[str, np.ndarray],
    setting: GraphSetting | None = None,
    lift: bool = True,
) -> ModelGraph:
    """Build the graphs of a model.

    Parameters
    ----------
    model : pymc.Model
        The model; refused if it has discrete or no free variables.
    initial : mapping of {str: array}
        A point of the model by value name; only its shapes are read.
    setting : GraphSetting, optional
        What is replaced, how batches are scaled, and whether batches or all rows are meant (by
        default).
    lift : bool
        Whether large constants and scalar data are arguments of the compiled code. JAX cannot trace
        a graph in which one of them decides a shape; without lifting they are part of the code, and
        a change of scalar data builds it anew.
    """
    check_variables(model)
    refuse_whole_numbers(model)
    setting = GraphSetting(training=False) if setting is None else setting
    layout = layout_from(model, initial, {name: n for name, (n, _) in setting.locals.items()})
    flat = pt.vector("z", dtype="float64", shape=(layout.dim,))
    model = of_any_length(model, setting.locals)
    values = model.value_vars
    pieces = pieces_of(flat, layout, values)
    names, variables = _variables(model)
    if setting.replacements:
        check_replacements(setting.replacements, [model.logp(), *variables])
    read = [graph for graphs in setting.encoded.values() for graph in graphs]
    log_prob, variables, rows, local = in_setting(model, [*variables, *read], setting)
    variables, read = variables[: len(names)], variables[len(names) :]
    computable = _without_random(dict(zip(names, variables, strict=True)))
    outputs = [log_prob, *computable.values(), *read]
    inputs = _unique(graph_inputs(outputs))
    refuse_random_inputs(model, inputs)
    # the graphs of a long model take seconds to build
    tensors = find_batches([model.logp()]).tensors if has_batches(model) else {}
    per_row = set(graph_inputs([data for data, _ in tensors.values()]))
    replace: dict[Variable, Variable] = dict(zip(values, pieces, strict=True))
    shared: list[SharedVariable] = []
    baked: list[tuple[SharedVariable, Any]] = []
    for variable in inputs:
        if isinstance(variable, SharedVariable):
            if variable not in per_row and _must_be_constant(variable, lift):
                value = variable.get_value()
                baked.append((variable, value))
                replace[variable] = variable.type.constant_type(
                    type=variable.type, data=value, name=variable.name
                )
            else:
                shared.append(variable)
        elif lift and isinstance(variable, Constant) and _is_large(variable):
            # with its lengths: an axis of length 1 is broadcast only where its type says so
            lifted = pytensor.shared(
                variable.data,
                name=variable.name or "constant",
                shape=variable.type.shape,
                borrow=True,
            )
            lifted.tag.lifted = True
            replace[variable] = _of_type(variable, lifted)
            shared.append(lifted)
    outputs = checks_as_densities(
        with_jax_ops(clone_replace(outputs, replace=replace, rebuild_strict=False))
    )
    graphs = dict(zip(computable, outputs[1:], strict=False))
    rest = iter(outputs[1 + len(computable) :])
    encoded = {name: tuple(next(rest) for _ in graphs) for name, graphs in setting.encoded.items()}
    return ModelGraph(
        layout,
        flat,
        outputs[0],
        graphs,
        tuple(shared),
        tuple(baked),
        rows,
        setting.streamed,
        local,
        encoded,
    )


def pieces_of(flat: Any, layout: Layout, values: list[Any]) -> list[Any]:
    """Each value variable as a piece of the symbolic flat vector, in its own shape and type."""
    pieces = []
    for slot, value in zip(layout, values, strict=True):
        piece = flat[slot.start : slot.stop].reshape(slot.shape).astype(value.dtype)
        pieces.append(
            piece if isinstance(value.type, TensorType) else value.type.filter_variable(piece)
        )
    return pieces


def _variables(model: pm.Model) -> tuple[list[str], list[Any]]:
    """Names and graphs, in terms of value variables, of free variables and deterministics."""
    wanted = [*model.free_RVs, *model.deterministics]
    return [variable.name for variable in wanted], model.replace_rvs_by_values(wanted)


def _without_random(graphs: dict[str, Any]) -> dict[str, Any]:
    """The graphs that are functions of value variables alone."""
    random = [name for name, graph in graphs.items() if rvs_in_graph([graph])]
    for name in random:
        logger.warning("The deterministic %r has random parts of its own and is left out.", name)
    return {name: graph for name, graph in graphs.items() if name not in random}


def _must_be_constant(variable: SharedVariable, lift: bool) -> bool:
    """Whether a shared variable decides shapes: integer scalars (lengths of dims) and masks.

    Truth values that follow from data and decide a shape are no rows that stand for others.
    """
    if isinstance(variable, DerivedVariable) or not isinstance(variable.type, TensorType):
        return False
    if variable.dtype == "bool":
        return True
    return variable.ndim == 0 and (not lift or np.issubdtype(variable.dtype, np.integer))


def _of_type(constant: Constant, lifted: Any) -> Variable:
    """A shared tensor in the place of a constant: with its dims, where that has some."""
    if isinstance(constant.type, XTensorType):
        return as_xtensor(lifted, dims=constant.type.dims)
    return lifted


def _is_large(constant: Constant) -> bool:
    data = constant.data
    return isinstance(data, np.ndarray) and data.dtype != bool and data.nbytes >= LIFTED_BYTES


def _unique(variables: Iterable[Variable]) -> list[Variable]:
    return list(dict.fromkeys(variables))
