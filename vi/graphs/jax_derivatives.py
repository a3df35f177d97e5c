"""Derivatives of JAX functions as JAX functions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.basic import Variable

from vi.graphs.jax_function import JaxFunction


@dataclass(frozen=True)
class _Derivative(JaxFunction):
    """A derivative of a function in its inputs at the positions ``moving``."""

    of: JaxFunction
    moving: tuple[int, ...]

    @property
    def static(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.of.static

    @property
    def host_dtype(self) -> np.dtype | None:  # type: ignore[override]
        return self.of.host_dtype


@dataclass(frozen=True)
class Pullback(_Derivative):
    """The vector-Jacobian product of a function in its inputs at the positions ``moving``."""

    n_inputs: int

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        arguments, cotangents = inputs[: self.n_inputs], inputs[self.n_inputs :]
        values, pull = jax.vjp(*_of_moving(self.of, self.moving, arguments))
        typed = tuple(
            jnp.asarray(c, value.dtype) for c, value in zip(cotangents, values, strict=True)
        )
        gradients: tuple[jax.Array, ...] = pull(typed)
        return gradients

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return [inputs[i].type for i in self.moving]

    @property
    def label(self) -> str:
        return f"pullback of {self.of.label}"


@dataclass(frozen=True)
class ValueAndGradient(_Derivative):
    """A scalar function and its gradient in the inputs at the positions ``moving``, in one call.

    No cotangent is an input, so that the node of the value may be replaced by this one's (see
    ``_share_the_call``).
    """

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        function, *values = _of_moving(self.of, self.moving, inputs)
        value, gradients = jax.value_and_grad(
            lambda *at: function(*at)[0], tuple(range(len(values)))
        )(*values)
        return (value, *gradients)

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return [*self.of.output_types(inputs), *(inputs[i].type for i in self.moving)]

    @property
    def label(self) -> str:
        return f"value and gradient of {self.of.label}"


def _of_moving(of: JaxFunction, moving: Sequence[int], arguments: Sequence[Any]) -> tuple[Any, ...]:
    """A function of some of its inputs, and their values."""

    def function(*values: Any) -> tuple[jax.Array, ...]:
        by_position = dict(zip(moving, values, strict=True))
        return of(*(by_position.get(i, argument) for i, argument in enumerate(arguments)))

    return (function, *(jnp.asarray(arguments[i]) for i in moving))
