"""Mean, standard deviation and covariance of q as variables that follow its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType

from vi.families.family import Family
from vi.graphs.jax_function import JaxFunction, floating_dtype
from vi.graphs.jax_op import JaxOp

__all__ = ["moment_of"]

RANKS = {"mean": 1, "std": 1, "cov": 2}


@dataclass(frozen=True)
class Moment(JaxFunction):
    """One of a family's moments as a function of its parameters."""

    family: Family
    moment: str
    names: tuple[str, ...]

    def __call__(self, *params: Any) -> tuple[jax.Array, ...]:
        return (getattr(self.family, self.moment)(dict(zip(self.names, params, strict=True))),)

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return [TensorType(floating_dtype(inputs).name, shape=(None,) * RANKS[self.moment])]


def moment_of(family: Family, moment: str, params: dict[str, Any]) -> Any:
    """A moment of q, symbolic in its shared parameters; the parameter itself where it is one."""
    direct = _parameter_that_is(family, moment, params)
    return (
        params[direct] if direct else JaxOp(Moment(family, moment, tuple(params)))(*params.values())
    )


def _parameter_that_is(family: Family, moment: str, params: dict[str, Any]) -> str | None:
    """Name of the parameter that the family returns unchanged as this moment, if any."""
    stand_ins = {
        name: jax.ShapeDtypeStruct(variable.get_value(borrow=True).shape, "float32")
        for name, variable in params.items()
    }
    found: list[str] = []

    def trace(values: dict[str, jax.Array]) -> jax.Array:
        result: jax.Array = getattr(family, moment)(values)
        found.extend(name for name, value in values.items() if value is result)
        return result

    jax.eval_shape(trace, stand_ins)
    return found[0] if found else None
