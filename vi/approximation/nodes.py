"""Expressions of a model's variables with the variables replaced by draws of q."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.type import TensorType, integer_dtypes
from pytensor.xtensor.type import XTensorType, as_xtensor

from vi.approximation.rebuild import rebuilt, remade, vectorized
from vi.approximation.sampler import draws_of, streams
from vi.approximation.seeds import resolve_seed
from vi.targets.graph import checks_as_densities
from vi.targets.jax_ops import with_own_ops

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["sample_node"]


def sample_node(
    approx: Approximation,
    node: Any,
    size: Any = None,
    deterministic: bool = False,
    more_replacements: Mapping[Any, Any] | None = None,
    random_seed: Any = None,
) -> Any:
    """The work of :meth:`vi.Approximation.sample_node`, which documents it."""
    names, nodes = _nodes(node)
    size = _size(size)
    if not isinstance(deterministic, bool | np.bool_):
        raise TypeError(f"deterministic={deterministic!r}: must be True or False.")
    seed = resolve_seed(random_seed)
    _check_model(approx)
    _check_dependence(approx, nodes, names)
    replacements = _replacements(approx, nodes, more_replacements or {})

    z = pt.tensor("z", dtype=approx.dtype.name, shape=(approx.layout.dim,))
    outputs = checks_as_densities(with_own_ops(_in_terms_of(approx, z, nodes, replacements)))
    for name, output in zip(names, outputs, strict=True):
        if z not in set(ancestors([output])):
            raise ValueError(f"{name} does not depend on q any more once more_replacements are made.")

    key = pt.tensor("key", dtype="uint32", shape=(2,))
    draws = _draws(approx, key, size, deterministic)
    if size is None:
        outputs = rebuilt(outputs, {z: draws})
    else:
        outputs = vectorized(outputs, z, draws, size if isinstance(size, int) else draws.shape[0])
    return _like(node, _with_fresh_generators(outputs, key, seed))


def _in_terms_of(
    approx: Approximation, z: Any, nodes: Sequence[Any], replacements: Mapping[Variable, Any]
) -> list[Any]:
    """The nodes with free variables and value variables as functions of one draw ``z``, and replacements made."""
    model = approx.model
    known: dict[Variable, Any] = {}
    transformed: dict[Variable, Any] = {}
    for slot, variable, value in zip(approx.layout, model.free_RVs, model.value_vars, strict=True):
        piece: Any = z[slot.start : slot.stop].reshape(slot.shape).astype(value.dtype)
        piece = piece if isinstance(value.type, TensorType) else value.type.filter_variable(piece)
        piece.name = value.name
        known[value] = piece
        if model.rvs_to_transforms.get(variable) is None:
            known[variable] = piece
        else:
            transformed[variable] = piece

    def make(node: Apply, inputs: list[Any]) -> Sequence[Any]:
        outputs = list(remade(node, inputs))
        for i, variable in enumerate(node.outputs):
            if variable in transformed:
                transform = model.rvs_to_transforms[variable]
                constrained = transform.backward(transformed[variable], *inputs)
                outputs[i] = variable.type.filter_variable(constrained, allow_convert=True)
                outputs[i].name = variable.name
        return outputs

    replaced = rebuilt(list(replacements.values()), known, make)
    return rebuilt(nodes, known | dict(zip(replacements, replaced, strict=True)), make)


def _draws(approx: Approximation, key: Any, size: Any, deterministic: bool) -> Any:
    dim = approx.layout.dim
    if not deterministic:
        return draws_of(approx.family, approx.shared_params, dim, approx.dtype, key, size)
    mean = pt.specify_shape(approx.mean, (dim,)).astype(approx.dtype.name)
    return mean if size is None else pt.broadcast_to(mean, (size, dim))


def _with_fresh_generators(outputs: Sequence[Any], key: Any, seed: int) -> list[Any]:
    """Generators of the graphs, and the key of q's draws, all from one new shared generator.

    The model's own generators are left alone, and every evaluation is a new draw.
    """
    shared = [
        variable
        for variable in dict.fromkeys(graph_inputs(outputs))
        if isinstance(variable, SharedVariable) and isinstance(variable.type, RandomType)
    ]
    new_key, *generators = streams(len(shared), seed)
    typed = [old.type.filter_variable(new) for old, new in zip(shared, generators, strict=True)]
    return rebuilt(outputs, {key: new_key, **dict(zip(shared, typed, strict=True))})


# ---- arguments ------------------------------------------------------------------------------------------------------


def _nodes(node: Any) -> tuple[list[str], list[Any]]:
    """Names for messages, and variables."""
    if isinstance(node, Mapping):
        keys, nodes = [f"node[{key!r}]" for key in node], list(node.values())
    elif isinstance(node, list | tuple):
        keys, nodes = [f"node[{i}]" for i in range(len(node))], list(node)
    else:
        keys, nodes = ["node"], [node]
    if not nodes:
        raise ValueError("node is empty; give a variable, or a list, tuple or dict of variables.")
    for key, variable in zip(keys, nodes, strict=True):
        if not isinstance(variable, Variable) or not isinstance(variable.type, TensorType | XTensorType):
            hint = f"; by name it is approx.model[{variable!r}]" if isinstance(variable, str) else ""
            raise TypeError(
                f"{key} is {variable!r}: give a PyTensor variable, or a list, tuple or dict of variables{hint}."
            )
    return [
        f"{key} ({variable.name})" if variable.name else key for key, variable in zip(keys, nodes, strict=True)
    ], nodes


def _like(node: Any, outputs: list[Any]) -> Any:
    """The outputs in the container in which the nodes came."""
    if isinstance(node, Mapping):
        return dict(zip(node, outputs, strict=True))
    if isinstance(node, list | tuple):
        return tuple(outputs) if isinstance(node, tuple) else outputs
    return outputs[0]


def _size(size: Any) -> Any:
    """None, an int of at least 1, or a symbolic integer scalar."""
    if isinstance(size, Constant):
        size = size.data
    if isinstance(size, np.ndarray) and size.ndim == 0:
        size = size[()]
    if isinstance(size, Variable):
        kind: Any = size.type
        if not isinstance(kind, TensorType) or kind.ndim != 0 or kind.dtype not in integer_dtypes:
            raise TypeError(f"size is {size} of type {kind}: a symbolic size must be an integer scalar.")
        return size
    if size is None:
        return None
    if isinstance(size, bool | np.bool_) or not isinstance(size, int | np.integer):
        raise TypeError(f"size={size!r}: must be a whole number, a symbolic integer scalar or None (one draw).")
    if size < 1:
        raise ValueError(f"size={size}: the number of draws must be at least 1.")
    return int(size)


def _check_model(approx: Approximation) -> None:
    now, fitted = [value.name for value in approx.model.value_vars], [slot.value_name for slot in approx.layout]
    if now != fitted:
        raise ValueError(
            f"The model's free variables are now {', '.join(now)}, the approximation is one of {', '.join(fitted)}: "
            "start a new fit."
        )


def _check_dependence(approx: Approximation, nodes: Sequence[Any], names: Sequence[str]) -> None:
    drawn = {*approx.model.free_RVs, *approx.model.value_vars}
    for name, node in zip(names, nodes, strict=True):
        if drawn.isdisjoint(ancestors([node])):
            raise ValueError(
                f"{name} does not depend on any free variable of the approximation's model "
                f"({', '.join(approx.layout.names)}), so there is nothing to draw. Variables of a copy of the model "
                "are other variables."
            )


def _replacements(
    approx: Approximation, nodes: Sequence[Any], more_replacements: Mapping[Any, Any]
) -> dict[Variable, Any]:
    if not isinstance(more_replacements, Mapping):
        raise TypeError(f"more_replacements must be a dict of {{variable: replacement}}, got {more_replacements!r}.")
    drawn = {*approx.model.free_RVs, *approx.model.value_vars}
    present = set(ancestors(nodes))
    made = {}
    for old, new in more_replacements.items():
        if not isinstance(old, Variable):
            hint = f" (by name: approx.model[{old!r}])" if isinstance(old, str) else ""
            raise TypeError(f"more_replacements has the key {old!r}; keys are PyTensor variables{hint}.")
        if old in drawn:
            raise ValueError(
                f"more_replacements has the key {old}, a free variable, which q draws. "
                "To see what another value does, write the expression with that value in its place."
            )
        if old not in present:
            raise ValueError(
                f"more_replacements has the key {old}, which is not in the graph of the node; "
                f"data and other named parts of it: {_named(present)}."
            )
        made[old] = _as_replacement(old, new)
    return made


def _named(variables: Iterable[Variable]) -> str:
    names = sorted({v.name for v in variables if v.name and not isinstance(v.type, RandomType)})
    return ", ".join(names) or "none"


def _as_replacement(old: Any, new: Any) -> Any:
    """The replacement as a variable of the old one's rank and dtype; its shape is free."""
    if not isinstance(new, Variable):
        new = np.asarray(new)
        new = as_xtensor(new, dims=old.type.dims) if isinstance(old.type, XTensorType) else pt.as_tensor(new)
    if isinstance(old.type, XTensorType) and isinstance(new.type, TensorType):
        new = as_xtensor(new, dims=old.type.dims)
    rank, wanted = getattr(new.type, "ndim", None), getattr(old.type, "ndim", None)
    if type(new.type) is not type(old.type) or rank != wanted:
        raise TypeError(
            f"more_replacements: {old} has {wanted} dimensions ({old.type}), its replacement {rank} ({new.type})."
        )
    if isinstance(old.type, XTensorType) and new.type.dims != old.type.dims:
        new = new.transpose(*old.type.dims)
    have, want = getattr(new.type, "dtype", None), getattr(old.type, "dtype", None)
    if have != want:
        if have is None or want is None or not np.can_cast(have, want, "same_kind"):
            raise TypeError(f"more_replacements: {old} has the type {want}, its replacement {have}.")
        new = new.astype(want)
    return new
