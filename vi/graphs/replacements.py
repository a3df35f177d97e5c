"""Parts of a graph that are replaced: variables in place of variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor import as_tensor
from pytensor.tensor.type import TensorType

from vi.foundation.arrays import plain_array

__all__ = ["as_variables", "check_replacements", "like"]


def check_replacements(
    replacements: Mapping[Variable, Variable], outputs: Sequence[Variable]
) -> None:
    """Refuse replacements of variables that the model does not use."""
    used = set(ancestors(outputs))
    for old in replacements:
        if old not in used:
            raise ValueError(
                f"more_replacements: {old} is not part of the model's log density. Replace data or "
                "expressions of the model; a free random variable cannot be replaced: fit the "
                "model in which it has a value, pm.do(model, {name: value})."
            )


def as_variables(replacements: Any) -> dict[Variable, Variable]:
    """Replacements with arrays turned into variables of the replaced one's type."""
    if not isinstance(replacements, Mapping):
        raise TypeError(
            f"more_replacements must be a dict of {{variable: replacement}}, got {replacements!r}."
        )
    for old, new in replacements.items():
        if not isinstance(old, Variable):
            raise TypeError(
                f"more_replacements maps PyTensor variables to PyTensor variables, got {old!r}: "
                f"{new!r}."
            )
    return {
        old: new if isinstance(new, Variable) else like(old, new)
        for old, new in replacements.items()
    }


def like(old: Variable, new: Any) -> Variable:
    """An array or a tensor as one of another's type, cast where nothing but precision is lost."""
    if isinstance(new, Variable) and not (
        isinstance(old.type, TensorType) and isinstance(new.type, TensorType)
    ):
        return new
    if not isinstance(old.type, TensorType):
        raise TypeError(
            f"more_replacements: {old} is {old.type}; give a variable of that type in its place."
        )
    if not isinstance(new, Variable):
        new = plain_array(f"more_replacements: what is to take the place of {old}", new)
    tensor = new if isinstance(new, Variable) else as_tensor(new)
    if tensor.type.ndim != old.type.ndim or not np.can_cast(
        tensor.type.dtype, old.type.dtype, "same_kind"
    ):
        raise TypeError(
            f"more_replacements: {old} is {old.type}, what is to take its place {tensor.type}."
        )
    return tensor if tensor.type.dtype == old.type.dtype else tensor.astype(old.type.dtype)
