"""Mean, standard deviation and covariance of q as PyTensor variables that follow the live parameters."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from vi.families.base import Family
from vi.precision import precision

__all__ = ["statistic"]

RANKS = {"mean": 1, "std": 1, "cov": 2}


class FamilyStatistic(Op):
    """One of a family's moments as a function of its parameters."""

    __props__ = ("family", "moment", "names")

    def __init__(self, family: Family, moment: str, names: tuple[str, ...]) -> None:
        self.family = family
        self.moment = moment
        self.names = names

    def make_node(self, *params: Variable) -> Apply:
        dtype = params[0].type.dtype
        return Apply(self, list(params), [pt.tensor(dtype=dtype, shape=(None,) * RANKS[self.moment])])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        dtype = np.dtype(node.outputs[0].type.dtype)
        with precision(dtype):
            value = _moment(self.family, self.moment)(dict(zip(self.names, inputs, strict=True)))
            outputs[0][0] = np.array(value, dtype)


@functools.cache
def _moment(family: Family, moment: str) -> Callable[..., Any]:
    return jax.jit(getattr(family, moment))


def statistic(family: Family, moment: str, params: dict[str, Any]) -> Any:
    """The moment as a symbolic variable; a parameter that *is* the moment is returned as it is."""
    direct = _parameter_that_is(family, moment, params)
    return params[direct] if direct else FamilyStatistic(family, moment, tuple(params))(*params.values())


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


def _register_numba() -> None:
    """Let numba call the moments in object mode without a warning at every compilation."""
    from pytensor.link.numba.dispatch.basic import generate_fallback_impl, numba_funcify

    @numba_funcify.register(FamilyStatistic)
    def _statistic_to_numba(op: FamilyStatistic, node: Apply, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Numba will use object mode")
            return generate_fallback_impl(op, node, **kwargs)


_register_numba()
