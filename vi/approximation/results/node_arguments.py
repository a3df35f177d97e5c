"""What the arguments of sample_node mean: understood, or refused with what is accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.type import TensorType, integer_dtypes
from pytensor.xtensor.type import XTensorType, as_xtensor

from vi.approximation.record.fit_state import FitState
from vi.foundation.arrays import refuse_masked

__all__ = [
    "check_dependence",
    "deterministic_from",
    "in_container_of",
    "named_nodes",
    "replacements_from",
    "size_from",
]


def named_nodes(node: Any) -> tuple[list[str], list[Any]]:
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
        if not isinstance(variable, Variable) or not isinstance(
            variable.type, TensorType | XTensorType
        ):
            hint = (
                f"; by name it is approx.model[{variable!r}]" if isinstance(variable, str) else ""
            )
            raise TypeError(
                f"{key} is {variable!r}: give a PyTensor variable, or a list, tuple or dict of "
                f"variables{hint}."
            )
    return [
        f"{key} ({variable.name})" if variable.name else key
        for key, variable in zip(keys, nodes, strict=True)
    ], nodes


def in_container_of(node: Any, outputs: list[Any]) -> Any:
    """The outputs in the container in which the nodes came."""
    if isinstance(node, Mapping):
        return dict(zip(node, outputs, strict=True))
    if isinstance(node, list | tuple):
        return tuple(outputs) if isinstance(node, tuple) else outputs
    return outputs[0]


def size_from(size: Any) -> Any:
    """None, an int of at least 1, or a symbolic integer scalar."""
    if isinstance(size, Constant):
        size = size.data
    if isinstance(size, np.ndarray) and size.ndim == 0:
        size = size[()]
    if isinstance(size, Variable):
        kind: Any = size.type
        if not isinstance(kind, TensorType) or kind.ndim != 0 or kind.dtype not in integer_dtypes:
            raise TypeError(
                f"size is {size} of type {kind}: a symbolic size must be an integer scalar."
            )
        return size
    if size is None:
        return None
    if isinstance(size, bool | np.bool_) or not isinstance(size, int | np.integer):
        raise TypeError(
            f"size={size!r}: must be a whole number, a symbolic integer scalar or None (one draw)."
        )
    if size < 1:
        raise ValueError(f"size={size}: the number of draws must be at least 1.")
    return int(size)


def deterministic_from(deterministic: Any) -> Any:
    """True or False, or a symbolic scalar that is one of them at each evaluation."""
    if isinstance(deterministic, Constant):
        deterministic = deterministic.data
    if isinstance(deterministic, np.ndarray) and deterministic.ndim == 0:
        deterministic = deterministic[()]
    if isinstance(deterministic, Variable):
        kind: Any = deterministic.type
        if (
            not isinstance(kind, TensorType)
            or kind.ndim != 0
            or kind.dtype not in ("bool", *integer_dtypes)
        ):
            raise TypeError(
                f"deterministic is {deterministic} of type {kind}: where it is symbolic, it must "
                "be a bool or integer scalar."
            )
        return deterministic
    if not isinstance(deterministic, bool | np.bool_):
        raise TypeError(
            f"deterministic={deterministic!r}: must be True, False or a symbolic scalar."
        )
    return bool(deterministic)


def check_dependence(fit: FitState, nodes: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse nodes that depend on no free variable."""
    drawn = {*fit.model.free_RVs, *fit.model.value_vars}
    for name, node in zip(names, nodes, strict=True):
        if drawn.isdisjoint(ancestors([node])):
            raise ValueError(
                f"{name} does not depend on any free variable of the approximation's model "
                f"({', '.join(fit.layout.names)}), so there is nothing to draw. Variables of a "
                "copy of the model "
                "are other variables."
            )


def replacements_from(
    nodes: Sequence[Any], more_replacements: Mapping[Any, Any]
) -> dict[Variable, Any]:
    """What takes the place of data, free variables and other parts of the nodes' graph."""
    if not isinstance(more_replacements, Mapping):
        raise TypeError(
            f"more_replacements must be a dict of {{variable: replacement}}, got "
            f"{more_replacements!r}."
        )
    present = set(ancestors(nodes))
    made = {}
    for old, new in more_replacements.items():
        if not isinstance(old, Variable):
            hint = f" (by name: approx.model[{old!r}])" if isinstance(old, str) else ""
            raise TypeError(
                f"more_replacements has the key {old!r}; keys are PyTensor variables{hint}."
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
        refuse_masked(new, f"What is to take the place of {old}")
        new = np.asarray(new)
        new = (
            as_xtensor(new, dims=old.type.dims)
            if isinstance(old.type, XTensorType)
            else pt.as_tensor(new)
        )
    if isinstance(old.type, XTensorType) and isinstance(new.type, TensorType):
        new = as_xtensor(new, dims=old.type.dims)
    rank, wanted = getattr(new.type, "ndim", None), getattr(old.type, "ndim", None)
    if type(new.type) is not type(old.type) or rank != wanted:
        raise TypeError(
            f"more_replacements: {old} has {wanted} dimensions ({old.type}), its replacement "
            f"{rank} ({new.type})."
        )
    if isinstance(old.type, XTensorType) and new.type.dims != old.type.dims:
        new = new.transpose(*old.type.dims)
    have, want = getattr(new.type, "dtype", None), getattr(old.type, "dtype", None)
    if have != want:
        if have is None or want is None or not np.can_cast(have, want, "same_kind"):
            raise TypeError(
                f"more_replacements: {old} has the type {want}, its replacement {have}."
            )
        new = new.astype(want)
    return new
