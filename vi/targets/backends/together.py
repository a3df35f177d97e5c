"""How many points a log density is evaluated at together: as many as caches hold the arrays of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

__all__ = ["CACHE", "points_together"]

CACHE = 2**22
"""Bytes that an array of all points together may have. More points share the reading of the data,
and their products are those of matrices, until what they make does not come back from a cache: then
they take longer together than one after the other."""


def points_together(function: Callable[[Any, Any], Any], point: Any, inputs: Any) -> int:
    """How many points a function of a point and data should be evaluated at together, 1 at least.

    Parameters
    ----------
    function : callable
        Traceable.
    point, inputs
        Arrays, or their shapes: nothing is computed.
    """
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), (point, inputs))
    traced = jax.make_jaxpr(function)(*shapes)
    which = [True] + [False] * (len(traced.jaxpr.invars) - 1)
    return max(1, CACHE // max(_largest(traced.jaxpr, which)[0], 1))


def _largest(jaxpr: Any, which: Sequence[bool]) -> tuple[int, list[bool]]:
    """Bytes of the largest array that depends on some of the inputs, and which outputs do."""
    depends = {variable for variable, does in zip(jaxpr.invars, which, strict=True) if does}
    largest = 0
    for equation in jaxpr.eqns:
        inputs = [not isinstance(v, Literal) and v in depends for v in equation.invars]
        if not any(inputs):
            continue
        inner = _inner(equation)
        outputs = [True] * len(equation.outvars)
        if inner is not None:
            size, outputs = _largest(inner, inputs)
            largest = max(largest, size)
        for variable, does in zip(equation.outvars, outputs, strict=True):
            if does:
                depends.add(variable)
                shape = variable.aval.shape
                largest = max(largest, math.prod(shape) * variable.aval.dtype.itemsize)
    return largest, [not isinstance(v, Literal) and v in depends for v in jaxpr.outvars]


def _inner(equation: Any) -> Any:
    """What an equation calls, if it is a function of the same inputs; None where it calls none."""
    for inner in equation.params.values():
        inner = getattr(inner, "jaxpr", inner)  # one without its constants
        fits = hasattr(inner, "eqns") and len(inner.invars) == len(equation.invars)
        if fits and len(inner.outvars) == len(equation.outvars):
            return inner
    return None
