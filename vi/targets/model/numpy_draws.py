"""Draws of frequent priors by NumPy alone, to rounding those that PyTensor makes by SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Variable
from pytensor.tensor.random.basic import CauchyRV, HalfNormalRV, StudentTRV

from vi.graphs.rebuild import inline, on_inputs, rebuild, unchanged

__all__ = ["drawn_by_numpy"]


def drawn_by_numpy(outputs: Sequence[Variable]) -> list[Variable]:
    """The graphs with half normals, Cauchys and Student's t that do without ``scipy.stats``.

    Its import takes half a second, a quarter of the first fit of a small model.
    """
    return rebuild(outputs, {}, _by_numpy)


def _by_numpy(node: Apply, inputs: list[Any]) -> Sequence[Any] | None:
    """A node that draws, as one that draws by NumPy."""
    if isinstance(node.op, OpFromGraph):  # PyMC's half-Cauchy has a Cauchy within
        return inline(node, inputs, _by_numpy)
    drawing = _BY_NUMPY.get(type(node.op))
    if drawing is None:
        return None if unchanged(node, inputs) else on_inputs(node, inputs)
    return list(drawing(**node.op._props_dict()).make_node(*inputs).outputs)


def _standardised(
    standard: Any, location: Any, scale: Any, size: tuple[int, ...] | None, *shapes: Any
) -> np.ndarray:
    """``location + scale * standard(shape)``, in SciPy's order of operations.

    Raises
    ------
    ValueError
        If a scale is negative or no number.
    """
    if not np.all(np.asarray(scale) >= 0):
        raise ValueError("a scale is negative")
    shape = (
        size
        if size is not None
        else np.broadcast_shapes(*map(np.shape, (location, scale, *shapes)))
    )
    return np.asarray(standard(shape) * scale + location)


class _HalfNormal(HalfNormalRV):
    @classmethod
    def rng_fn_scipy(cls, rng: Any, loc: Any, scale: Any, size: Any) -> np.ndarray:
        return _standardised(lambda shape: np.abs(rng.standard_normal(shape)), loc, scale, size)


class _Cauchy(CauchyRV):
    @classmethod
    def rng_fn_scipy(cls, rng: Any, loc: Any, scale: Any, size: Any) -> np.ndarray:
        return _standardised(
            lambda shape: -1 / np.tan(np.pi * rng.uniform(size=shape)), loc, scale, size
        )


class _StudentT(StudentTRV):
    @classmethod
    def rng_fn_scipy(cls, rng: Any, df: Any, loc: Any, scale: Any, size: Any) -> np.ndarray:
        return _standardised(lambda shape: rng.standard_t(df, shape), loc, scale, size, df)


_BY_NUMPY: dict[type, type] = {
    HalfNormalRV: _HalfNormal,
    CauchyRV: _Cauchy,
    StudentTRV: _StudentT,
}
