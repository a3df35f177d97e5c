"""Whether JAX's gradient of a log density is right, as far as a few points can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.foundation.compiling import HASTY, jitted
from vi.foundation.precision import precision
from vi.foundation.tracing_errors import what_tracing_met
from vi.graphs.to_jax import ConversionError, WrongGradientError
from vi.targets.backends.evaluation import entries_of
from vi.targets.backends.jax_target import JaxTarget, Short
from vi.targets.base import StepInputs

__all__ = ["check_gradient"]

CHECKED_POINTS = 8
"""Points that are looked at.

A wrong branch that a random point takes every other time is missed once in 2**8 times, and eight
points cost nothing beside the compilation that one of them needs.
"""

NEAR = 0.1
"""How far from the start, in each coordinate, reverse mode is compared with forward mode.

The density is finite at the start, and so it is at most points near it; at the start itself many
terms are exactly zero, and would hide what is wrong with their gradients.
"""

TOLERANCE = {"float64": 1e-5, "float32": 3e-2}
"""The largest difference of the two modes, relative to the sum of the absolute terms.

Far above the rounding of long sums, far below the difference of a wrong branch, which is of the
order of the term itself.
"""

MANY = 10**6
"""Numbers read by one evaluation from which code is worth compiling well: it takes milliseconds."""

type Looks = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray, float | None]]
"""Log p, its score ``(D,)``, and its derivative along a direction by forward mode, if there is
one, at a point ``(D,)``."""


def check_gradient(target: JaxTarget, start: np.ndarray) -> None:
    """Trace the score; then compare it, as compiled, with forward mode at points near ``start``.

    Raises
    ------
    ConversionError
        If tracing fails, or reverse mode contradicts forward mode.
    """
    with precision(target.dtype):
        inputs = target.at_step(target.sample_inputs(), np.zeros(2, np.uint32), np.uint32(0))
        whole = [rows.rows if isinstance(rows, Short) else rows for rows in inputs.rows]
        inputs = replace(inputs, rows=tuple(whole))
        start = np.asarray(start, target.dtype)
        look = _looks(target, start, inputs)
        if _look_for_lost_gradients(target, look, start):
            target.finite_around = start
        _compare_with_forward_mode(target, look, start)


def _looks(target: JaxTarget, start: np.ndarray, inputs: StepInputs) -> Looks:
    """Both modes in one compiled function: they share log p itself, and its compilation."""

    @jax.jit  # of a long model tracing takes seconds, and is kept
    def reverse(point: jax.Array, inputs: StepInputs) -> Any:
        return target.value_and_score(point[None], inputs)

    slope_along = jax.jit(target.slope_along)

    def one(point: jax.Array, direction: jax.Array, inputs: StepInputs) -> Any:
        return *reverse(point, inputs), None

    def both(point: jax.Array, direction: jax.Array, inputs: StepInputs) -> Any:
        return *reverse(point, inputs), slope_along(point, direction, inputs)

    # sixteen calls: the compiler's time counts, until there are data by the million
    options = HASTY if entries_of(target) < MANY else None
    function: Callable[..., Any] = jitted(both, options)
    try:
        jax.eval_shape(reverse, start, inputs)
    except Exception as error:
        raise ConversionError(f"tracing in JAX failed: {what_tracing_met(error)}") from error
    try:
        jax.eval_shape(both, start, start, inputs)
    except (NotImplementedError, TypeError, ValueError):
        # an operation without forward mode (a custom_vjp, say): nothing to compare with
        function = jitted(one, options)

    def look(point: np.ndarray, direction: np.ndarray) -> tuple[float, np.ndarray, float | None]:
        value, score, along = function(point, direction, inputs)
        return float(value[0]), np.asarray(score)[0], None if along is None else float(along)

    return look


def _look_for_lost_gradients(target: JaxTarget, look: Looks, start: np.ndarray) -> bool:
    """Refuse a gradient that is not finite at a point where log p is; whether it was everywhere.

    Reverse mode through a ``where`` is NaN where the branch not taken overflows. The points are as
    wide as q starts, where a fit will ask.
    """
    generator = np.random.default_rng(1)
    everywhere = True
    for _ in range(CHECKED_POINTS):
        point = (start + generator.standard_normal(start.shape)).astype(target.dtype)
        value, score, _ = look(point, np.zeros_like(point))
        bad = np.flatnonzero(~np.isfinite(score))
        everywhere &= bool(np.isfinite(value))
        if np.isfinite(value) and bad.size:
            raise WrongGradientError(
                f"JAX's gradient in {target.layout.describe(bad)} is not finite at a point where "
                f"log p is {value:.6g}"
            )
    return everywhere


def _compare_with_forward_mode(target: JaxTarget, look: Looks, start: np.ndarray) -> None:
    """Refuse a gradient that contradicts forward mode along a random direction."""
    generator = np.random.default_rng(0)
    tolerance = TOLERANCE[target.dtype.name]
    for _ in range(CHECKED_POINTS):
        point = (start + NEAR * generator.standard_normal(start.shape)).astype(target.dtype)
        direction = generator.standard_normal(start.shape).astype(target.dtype)
        value, score, expected = look(point, direction)
        if expected is None:
            return
        if not np.isfinite(value):
            continue
        terms = np.abs(score * direction)
        got = float(score @ direction)
        if not abs(got - expected) <= tolerance * (float(terms.sum()) + 1.0):
            worst = target.layout.describe(np.argsort(-terms)[:3])
            raise WrongGradientError(
                "JAX's reverse-mode gradient contradicts its forward mode "
                f"({got:.6g} against {expected:.6g}; largest terms: {worst})"
            )
