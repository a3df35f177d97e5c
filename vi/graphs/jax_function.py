"""A pure JAX function with what PyTensor has to know of it."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType

__all__ = ["JaxFunction", "floating_dtype", "in_precision_of"]


class JaxFunction(abc.ABC):
    """A pure JAX function of arrays, to be wrapped by :class:`JaxOp`.

    To write one, subclass this as a frozen dataclass whose fields are hashable settings: equal
    settings are one operation, compiled once.
    """

    static: tuple[int, ...] = ()
    """Positions of the inputs that decide shapes: whole numbers, known when the function is
    compiled.
    """

    host_dtype: np.dtype | None = None
    """The precision in which it is called on the host; that of its types by default."""

    @abc.abstractmethod
    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        """The outputs; inputs at the positions ``static`` are Python integers."""

    @abc.abstractmethod
    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        """PyTensor types of the outputs for given symbolic inputs."""

    @property
    def label(self) -> str:
        """What messages and printed graphs call it."""
        return type(self).__name__

    @functools.cached_property
    def compiled(self) -> Callable[..., Any]:
        """The function compiled by JAX, which compiles equal functions once."""
        return jax.jit(self, static_argnums=self.static)


def in_precision_of(inputs: Sequence[Variable], kinds: Sequence[Any]) -> list[Any]:
    """Types whose floating ones are as precise as the inputs, where any of these is floating."""
    if not any(map(is_floating, inputs)):
        return list(kinds)
    wide = floating_dtype(inputs).name
    return [
        kind.clone(dtype=wide) if np.issubdtype(kind.dtype, np.floating) else kind for kind in kinds
    ]


def is_floating(variable: Variable) -> bool:
    return isinstance(variable.type, TensorType) and np.issubdtype(variable.type.dtype, np.floating)


def floating_dtype(variables: Sequence[Variable]) -> np.dtype:
    """The widest floating type among variables, float32 where there is none."""
    return np.result_type(
        *(variable.type.dtype for variable in variables if is_floating(variable)), np.float32
    )
