"""NumPyro's transforms as PyMC's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.tensor import as_tensor
from pytensor.tensor.type import TensorType

from vi.foundation.extras import needs
from vi.graphs.jax_function import JaxFunction, floating_dtype
from vi.graphs.jax_op import JaxOp

__all__ = ["NumpyroTransform", "import_numpyro", "is_constraint"]


def import_numpyro() -> Any:
    """NumPyro, or an error that says how to install it."""
    needs("numpyro.infer.util", "NumPyro models")
    return needs("numpyro", "NumPyro models")


def is_constraint(item: Any) -> bool:
    """Whether something is a constraint of NumPyro, which is imported if it is."""
    constraints: Any = sys.modules.get("numpyro.distributions.constraints")
    return constraints is not None and isinstance(item, constraints.Constraint)


class NumpyroTransform(Transform):
    """The transform between constrained and unconstrained arrays, ``biject_to`` of a constraint.

    Parameters
    ----------
    transform : numpyro.distributions.transforms.Transform
        From unconstrained to constrained.
    shape : tuple of int
        Shape of the constrained array.
    dtype : numpy.dtype
        The precision of the fit.
    """

    def __init__(self, transform: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
        event = int(transform.codomain.event_dim)
        inner = tuple(transform.inverse_shape(shape))
        self.ndim_supp = event
        self.name = type(transform).__name__.removesuffix("Transform").lower()
        # one operation each, compiled once however often PyMC asks for it
        self._forward = JaxOp(Piece(transform, "inverse", inner, dtype))
        self._backward = JaxOp(Piece(transform, "call", shape, dtype))
        self._log_jac_det = JaxOp(
            Piece(transform, "log_jacobian", shape[: len(shape) - event], dtype)
        )

    @classmethod
    def of(cls, constraint: Any, shape: tuple[int, ...], dtype: np.dtype) -> Self | None:
        """The transform of a constraint, None where it is none at all."""
        distributions = import_numpyro().distributions
        transform = distributions.biject_to(constraint)
        base = transform
        while hasattr(base, "base_transform"):  # independent axes
            base = base.base_transform
        return (
            None
            if isinstance(base, distributions.transforms.IdentityTransform)
            else cls(transform, shape, dtype)
        )

    def forward(self, value: Any, *inputs: Any) -> Any:
        return self._forward(as_tensor(value))

    def backward(self, value: Any, *inputs: Any) -> Any:
        return self._backward(as_tensor(value))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return self._log_jac_det(as_tensor(value))


@dataclass(frozen=True, eq=False)
class Piece(JaxFunction):
    """One of the functions of a transform."""

    transform: Any
    part: str
    shape: tuple[int, ...]
    host_dtype: np.dtype | None

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        x = jnp.asarray(inputs[0])
        if self.part == "inverse":
            array = self.transform._inverse(x)
        elif self.part == "call":
            array = self.transform(x)
        else:
            array = self.transform.log_abs_det_jacobian(x, self.transform(x))
        return (jnp.broadcast_to(array, self.shape).astype(x.dtype),)

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return [TensorType(floating_dtype(inputs).name, self.shape)]
