"""Which random variables have a location and a scale in the coordinates that are fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.continuous import HalfCauchyRV, MoyalRV, SkewNormalRV
from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.graph.basic import Apply
from pytensor.tensor.random.basic import (
    CauchyRV,
    ExponentialRV,
    GumbelRV,
    HalfNormalRV,
    LaplaceRV,
    LogisticRV,
    LogNormalRV,
    NormalRV,
    StudentTRV,
)

__all__ = ["LocationScale", "distribution_name", "is_untransformed", "location_scale"]

PLACES: dict[type, tuple[int, int]] = {
    NormalRV: (0, 1),
    CauchyRV: (0, 1),
    LaplaceRV: (0, 1),
    LogisticRV: (0, 1),
    GumbelRV: (0, 1),
    MoyalRV: (0, 1),
    SkewNormalRV: (0, 1),
    StudentTRV: (1, 2),
}
"""Where location and scale stand among the parameters of distributions without a transform."""

OF_LOGARITHM: dict[type, Callable[..., tuple[Any, Any]]] = {
    LogNormalRV: lambda mu, sigma: (mu, sigma),
    HalfNormalRV: lambda loc, sigma: (pt.log(sigma), 1.0),
    HalfCauchyRV: lambda beta: (pt.log(beta), 1.0),
    ExponentialRV: lambda scale: (pt.log(scale), 1.0),
}
"""Location and scale of the logarithm of positive ones: the logarithm is what is fitted."""


class LocationScale(NamedTuple):
    """Graphs of a variable's location and scale, which broadcast to its shape.

    Parameters
    ----------
    location, scale : TensorVariable
        Of a chain, the location without what an entry takes from the one before.
    carry : TensorVariable or None
        How much an entry takes from the one before it along the last axis; none is no chain.
    """

    location: Any
    scale: Any
    carry: Any = None


def location_scale(variable: Any, transform: Any, shape: tuple[int, ...]) -> LocationScale | None:
    """Location and scale of a variable in the unconstrained space; None where it has none.

    Parameters
    ----------
    variable : TensorVariable
        A free variable of a model.
    transform : optional
        Its transform.
    shape : tuple of int
        Its shape.
    """
    op = variable.owner.op
    if isinstance(op, RandomWalkRV) and transform is None and shape[-1] > 1:
        return _of_walk(variable.owner, shape)
    if isinstance(op, AutoRegressiveRV) and transform is None and shape[-1] > 1:
        return _of_autoregression(variable.owner, shape)
    return _of_node(variable.owner, transform)


def is_untransformed(model: pm.Model, variable: Any) -> bool:
    """Whether a variable with a location and a scale is fitted as it is."""
    op = variable.owner.op
    return model.rvs_to_transforms.get(variable) is None and type(op) in PLACES


def distribution_name(variable: Any) -> str:
    """The name of a variable's distribution, ``"Normal"`` for example."""
    op = variable.owner.op
    op = getattr(op, "core_op", op)
    names = getattr(op, "_print_name", None)
    return str(names[0]) if names else type(op).__name__.removesuffix("RV")


def _of_node(node: Apply | None, transform: Any) -> LocationScale | None:
    if node is None:
        return None
    op: Any = node.op
    if transform is None and type(op) in PLACES:
        parameters = op.dist_params(node)
        return LocationScale(*(parameters[place] for place in PLACES[type(op)]))
    if getattr(transform, "name", None) == "log" and type(op) in OF_LOGARITHM:
        return LocationScale(*OF_LOGARITHM[type(op)](*op.dist_params(node)))
    return None


def _of_walk(node: Apply, shape: tuple[int, ...]) -> LocationScale | None:
    """A random walk of scalar steps: the parameters of its parts have time in front."""
    first, steps = (_of_node(part.owner, None) for part in node.inputs[:2])
    if first is None or steps is None or node.inputs[0].type.ndim != len(shape):
        return None
    behind, count = shape[:-1], shape[-1] - 1

    def along(one: Any, others: Any) -> Any:
        start = pt.moveaxis(pt.broadcast_to(one, (1, *behind)), 0, -1)
        return pt.concatenate(
            [start, pt.moveaxis(pt.broadcast_to(others, (count, *behind)), 0, -1)], axis=-1
        )

    return LocationScale(
        along(first.location, steps.location), along(first.scale, steps.scale), pt.as_tensor(1.0)
    )


def _of_autoregression(node: Apply, shape: tuple[int, ...]) -> LocationScale | None:
    """An autoregression of order one."""
    op: Any = node.op
    coefficients, sigma, init = node.inputs[:3]
    first = _of_node(init.owner, None)
    if op.ar_order != 1 or first is None:
        return None
    behind, count = shape[:-1], shape[-1] - 1

    def along(one: Any, others: Any) -> Any:
        start = pt.broadcast_to(one, (*behind, 1))
        rest = pt.broadcast_to(pt.as_tensor(others)[..., None], (*behind, count))
        return pt.concatenate([start, rest], axis=-1)

    constant = coefficients[..., 0] if op.constant_term else 0.0
    carry = coefficients[..., -1:]
    return LocationScale(along(first.location, constant), along(first.scale, sigma), carry)
