"""A check for those who write a kernel: one symmetric function, and its derivatives."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.precision import precision
from vi.kernels.kernel import Kernel, Sums
from vi.kernels.radial import RadialKernel
from vi.testing.common import FLOAT32, FLOAT64, check_seed, instance_of, named, quick_jit, refused

__all__ = ["check_kernel"]

type Compiled = Callable[[np.ndarray, np.ndarray], Sums]

POINTS = 3
"""Points of the check, in as many dimensions: scores that are the axes then give every value."""

LINE, SPACINGS = 10, (0.1, 0.3, 0.6, 1.0, 2.0)
"""Points on a line, and their distances, at which values are looked at besides."""

WIDTH = float(np.finfo(np.float64).eps) ** (1 / 3)
"""Of central differences: rounding and curvature are the least together."""

RELATIVE = 1e-5
"""Of differences with that width: some hundred times their error."""


def check_kernel(kernel: Kernel, *, seed: int = 0) -> None:
    r"""Check that a kernel keeps the contract of :class:`vi.kernels.Kernel`.

    Parameters
    ----------
    kernel : Kernel
        The kernel, or its class where all settings have defaults.
    seed : int
        Seed of points and scores.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are, in this order:
        ``short_name`` and ``standardize`` are there, and the kernel can be hashed; of a
        :class:`vi.kernels.RadialKernel`, :math:`\kappa(0) = 1` and the two derivatives of
        ``profile``; shapes of ``sums``; :math:`k(x, y) = k(y, x)`, no matrix of values has a
        negative eigenvalue (a spot check: of some points in space and on a line), and not all
        values are the same; ``own`` are the terms of each point with itself; attraction is linear
        in the scores, and repulsion and trace do not depend on them; repulsion and trace are the
        derivatives of the values; float32 stays float32.

    Notes
    -----
    Derivatives are compared with the bandwidth held: a kernel whose bandwidth follows the points
    has to take one of its own, as ``bandwidth=`` of a radial kernel.

    Examples
    --------
    >>> import vi
    >>> vi.testing.check_kernel(vi.kernels.IMQ())
    """
    check_seed(seed)
    kernel = instance_of(kernel, Kernel, "kernel")
    named(kernel, "short_name", "my_kernel")
    assert isinstance(getattr(kernel, "standardize", None), bool | np.bool_), (
        "a kernel says standardize = True or False: whether points come in units of their sds"
    )
    assert hash(kernel) == hash(kernel), "a kernel must be hashable: make it a frozen dataclass"
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(POINTS, POINTS)) / np.sqrt(POINTS)
    scores = generator.normal(size=(POINTS, POINTS))
    with precision(FLOAT64):
        if isinstance(kernel, RadialKernel):
            _check_profile(kernel)
            if kernel.bandwidth is None:
                _check_values(_compiled(kernel), points)
                kernel = dataclasses.replace(kernel, bandwidth=1.5)
        _check_shapes(kernel, points, scores, FLOAT64)
        sums = _compiled(kernel)
        for spacing in SPACINGS:  # on a line: where functions that are nearly kernels fail
            line = spacing * np.arange(LINE)[:, None] * np.eye(LINE)[0]
            _check_values(sums, line)
        values = _check_values(sums, points)
        _check_scores(sums, points, scores, values)
        _check_derivatives(sums, points, values)
    with precision(FLOAT32):
        _check_shapes(kernel, points.astype(FLOAT32), scores.astype(FLOAT32), FLOAT32)


def _compiled(kernel: Kernel) -> Compiled:
    """The sums, compiled once; what the contract of a fit refuses is a failed check."""
    function = quick_jit(kernel.sums)

    def sums(points: np.ndarray, scores: np.ndarray) -> Sums:
        with refused():
            found: Sums = function(jnp.asarray(points), jnp.asarray(scores))
            return found

    return sums


def _check_profile(kernel: RadialKernel) -> None:
    places = jnp.asarray([0.0, 0.1, 0.7, 2.0, 9.0])
    value, first, second = kernel.profile(places)
    assert np.isclose(float(value[0]), 1.0), f"kappa(0) must be 1, got {float(value[0]):.5g}"
    slope = jax.vmap(jax.grad(lambda u: kernel.profile(u)[0]))(places[1:])
    bend = jax.vmap(jax.grad(lambda u: kernel.profile(u)[1]))(places[1:])
    for name, got, wanted in (("first", first, slope), ("second", second, bend)):
        assert np.allclose(got[1:], wanted, rtol=1e-6, atol=1e-9), (
            f"the {name} derivative of profile is {got[1:]} at {places[1:]}; by differentiation it "
            f"is {wanted}"
        )


def _check_shapes(kernel: Kernel, points: np.ndarray, scores: np.ndarray, dtype: np.dtype) -> None:
    with refused():
        sums = kernel.sums(jnp.asarray(points), jnp.asarray(scores))
    assert isinstance(sums, Sums), f"sums() must return Sums, got {type(sums).__name__}"
    for name, wanted in zip(
        Sums._fields, (points.shape, points.shape, (), points.shape), strict=True
    ):
        part = getattr(sums, name)
        got = (jnp.shape(part), getattr(part, "dtype", type(part).__name__))
        assert got == (wanted, dtype), f"sums().{name} must be {dtype} {wanted}, got {got}"


def _check_values(sums: Compiled, points: np.ndarray) -> np.ndarray:
    """The values k(x_i, x_j): what attraction is where the scores are the axes."""
    values = np.asarray(sums(points, np.eye(len(points))).attraction)
    assert np.all(np.isfinite(values)), f"the kernel has values that are not finite: {values}"
    assert np.allclose(values, values.T, rtol=1e-8, atol=1e-10), (
        "the kernel must be symmetric, k(x, y) = k(y, x); attraction is not"
    )
    assert np.ptp(values) > 0, (
        "the kernel has the same value at all pairs of points: particles would not see each other"
    )
    lowest = np.linalg.eigvalsh(values)[0]
    assert lowest > -1e-8 * np.abs(values).max(), (
        f"the kernel must be positive definite; a matrix of its values has the eigenvalue "
        f"{lowest:.3g}"
    )
    return values


def _check_scores(
    sums: Compiled, points: np.ndarray, scores: np.ndarray, values: np.ndarray
) -> None:
    one, none = sums(points, scores), sums(points, np.zeros_like(scores))
    assert np.allclose(one.attraction, values.T @ scores, rtol=1e-8, atol=1e-10), (
        "attraction must be the sum of k(x_j, x_i) s_j over j, linear in the scores"
    )
    for name in ("repulsion", "trace"):
        assert np.allclose(getattr(one, name), getattr(none, name), rtol=1e-8, atol=1e-10), (
            f"{name} must not depend on the scores"
        )
    slopes = [_slope(sums, points, i, i) for i in range(POINTS)]
    own = np.diag(values)[:, None] * scores + np.stack(slopes)
    assert np.allclose(one.own, own, rtol=RELATIVE, atol=RELATIVE), (
        "own must be the terms of each point with itself, k(x_i, x_i) s_i plus the gradient of k "
        "in its first argument there"
    )


def _pair(sums: Compiled, x: np.ndarray, y: np.ndarray) -> float:
    """k(x, y), from points of which only the first has a score."""
    points = np.stack([x, y, *np.zeros((POINTS - 2, POINTS))])
    scores = np.zeros((POINTS, POINTS))
    scores[0, 0] = 1.0
    return float(sums(points, scores).attraction[1, 0])


def _slope(sums: Compiled, points: np.ndarray, j: int, i: int) -> np.ndarray:
    """The gradient of k(x_j, x_i) in its first argument, by differences."""
    slope = np.empty(POINTS)
    for d, axis in enumerate(np.eye(POINTS) * WIDTH):
        ahead, behind = (_pair(sums, points[j] + move, points[i]) for move in (axis, -axis))
        slope[d] = (ahead - behind) / (2 * WIDTH)
    return slope


def _check_derivatives(sums: Compiled, points: np.ndarray, values: np.ndarray) -> None:
    assert np.isclose(_pair(sums, points[0], points[1]), values[0, 1], rtol=1e-8), (
        "k(x, y) is another number beside other points: hold the bandwidth for this check"
    )
    found = sums(points, np.zeros_like(points))
    repulsion = sum(_slope(sums, points, j, 0) for j in range(POINTS))
    assert np.allclose(found.repulsion[0], repulsion, rtol=RELATIVE, atol=RELATIVE), (
        "repulsion must be the sum of the gradients of k(x_j, x_i) in x_j over j: "
        f"{np.asarray(found.repulsion[0])}, by differences {repulsion}"
    )
    wide = WIDTH**0.75  # the best width for a second derivative
    corners = [
        a * b * _pair(sums, points[i] + a * axis, points[j] + b * axis)
        for axis in np.eye(POINTS) * wide
        for i, j in itertools.product(range(POINTS), repeat=2)
        for a, b in itertools.product((1, -1), repeat=2)
    ]
    trace = sum(corners) / (4 * wide**2)
    assert np.isclose(float(found.trace), trace, rtol=RELATIVE, atol=RELATIVE), (
        "trace must be the sum of the traces of the second derivatives in both arguments over all "
        f"pairs: {float(found.trace):.6g}, by differences {trace:.6g}"
    )
