"""Checks of parameters in a log density: minus infinity in place of an exception."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.logprob.utils import CheckParameterValue
from pytensor.graph.basic import Apply

from vi.graphs.rebuild import on_inputs, rebuild, unchanged

__all__ = ["checks_as_densities"]

ZERO_SUM = "n_zerosum_axes"
"""In the message of a check that holds by the variable's transform.

It is left out: in float32 the sums are not within its tolerance, which is that of float64.
"""


def checks_as_densities(outputs: Sequence[Any]) -> list[Any]:
    """The graphs with PyMC's checks of parameters as densities of zero where they fail.

    PyMC compiles them so too. Otherwise a negative shape, say, would be an exception on one backend
    and a finite density on the other.
    """
    return rebuild(outputs, {}, _check_as_density)


def _check_as_density(node: Apply, inputs: list[Any]) -> list[Any] | None:
    """A maker: a switch in place of a check, every other node on its new inputs."""
    if isinstance(node.op, CheckParameterValue) and node.op.can_be_replaced_by_ninf:
        value, *conditions = inputs
        if ZERO_SUM in node.op.msg:
            return [value]
        return [pt.switch(reduce(pt.and_, conditions), value, -np.inf).astype(value.dtype)]
    # strict: a density keeps its type, whatever the switch knows of its static shape
    return None if unchanged(node, inputs) else on_inputs(node, inputs, strict=True)
