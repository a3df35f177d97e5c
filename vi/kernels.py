"""Kernels of Stein methods: what makes particles share scores and keep apart."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["IMQ", "KERNELS", "RBF", "Kernel", "PairKernel", "RadialKernel", "kernel_from"]

PAIRS = 1024
"""Pairs of particles behind the median; all pairs where there are fewer."""


class Sums(NamedTuple):
    r"""What a Stein step needs of a kernel: sums over pairs of points.

    Parameters
    ----------
    attraction : jax.Array
        :math:`\sum_j k(x_j, x_i)\, s_j` for each ``i``, shape ``(n, D)``.
    repulsion : jax.Array
        :math:`\sum_j \nabla_{x_j} k(x_j, x_i)` for each ``i``, shape ``(n, D)``.
    trace : jax.Array
        :math:`\sum_{ij} \mathrm{tr}\, \nabla_{x_i} \nabla_{x_j} k(x_i, x_j)`, a scalar.
    own : jax.Array
        The terms ``j = i`` of attraction and repulsion together, shape ``(n, D)``.
    """

    attraction: jax.Array
    repulsion: jax.Array
    trace: jax.Array
    own: jax.Array


class Kernel(abc.ABC):
    """A symmetric positive definite function of two points; a frozen dataclass of settings."""

    short_name: str
    """Name of the kernel in arguments and files."""

    standardize: bool
    """Whether the points come in units of their own standard deviations, coordinate by coordinate."""

    @abc.abstractmethod
    def sums(self, points: jax.Array, scores: jax.Array) -> Sums:
        """Return the sums over pairs of a Stein step, from points and scores ``(n, D)``."""


@dataclass(frozen=True)
class RadialKernel(Kernel):
    r"""A kernel :math:`k(x, y) = \kappa(|x - y|^2 / h)` with :math:`\kappa(0) = 1`.

    Parameters
    ----------
    bandwidth : float, optional
        ``h``, a squared length. By default it follows the particles: a constant times the median of the squared
        distances, over a fixed sub-sample of 1,024 pairs (the median over all pairs would take almost the whole step).
    standardize : bool
        Whether distances (and ``h``) are in units of the particles' standard deviations, coordinate by coordinate, so
        that a coordinate in small units is not overlooked.

    Raises
    ------
    ValueError
        If the bandwidth is not positive.
    """

    bandwidth: float | None = None
    standardize: bool = True

    def __post_init__(self) -> None:
        h = self.bandwidth
        if h is not None and (isinstance(h, bool) or not isinstance(h, int | float) or not 0 < h < float("inf")):
            raise ValueError(f"{type(self).__name__}(bandwidth={h!r}): must be a positive number, or None.")

    @abc.abstractmethod
    def profile(self, u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        r"""Return :math:`\kappa` and its first two derivatives at ``u``, elementwise."""

    @abc.abstractmethod
    def median_factor(self, n: int) -> float:
        """What the median squared distance of ``n`` points is multiplied by to give ``h``."""

    def sums(self, points: jax.Array, scores: jax.Array) -> Sums:
        dim = points.shape[1]
        centred = points - jnp.mean(points, axis=0)
        lengths = jnp.sum(jnp.square(centred), axis=1)
        square = jnp.maximum(lengths[:, None] + lengths[None, :] - 2.0 * centred @ centred.T, 0.0)
        h = self._bandwidth(square)
        u = square * (1.0 / h)
        value, first, second = self.profile(u)
        repulsion = (2.0 / h) * (first @ centred - jnp.sum(first, axis=1, keepdims=True) * centred)
        trace = (-2.0 / h) * jnp.sum(dim * first + 2.0 * u * second)
        return Sums(value @ scores, repulsion, trace, own=scores)  # kappa(0) = 1, and its gradient vanishes there

    def _bandwidth(self, square: jax.Array) -> jax.Array:
        if self.bandwidth is not None:
            return jnp.asarray(self.bandwidth, square.dtype)
        n = len(square)
        rows, columns = _pairs(n)
        h = self.median_factor(n) * jnp.median(square[rows, columns])
        return jnp.where(h > 0, h, 1.0).astype(square.dtype)


@dataclass(frozen=True)
class RBF(RadialKernel):
    r"""The Gaussian kernel :math:`k(x, y) = \exp(-|x - y|^2 / h)`.

    The default bandwidth is :math:`h = \mathrm{med}^2 / \log(n + 1)` with ``med`` the median distance between
    particles (Liu and Wang 2016, with ``n + 1`` for ``n`` as in PyMC), so that the ``n`` kernel values around a
    particle sum to about one. Conventions differ: in the form :math:`\exp(-|x-y|^2 / (2 \ell^2))`,
    :math:`\ell^2 = h / 2`.

    Parameters
    ----------
    bandwidth : float, optional
        ``h``; the median heuristic by default.
    standardize : bool
        Whether distances are in units of the particles' standard deviations.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> points = jnp.array([[0.0], [1.0]])
    >>> [round(float(x), 3) for x in RBF(bandwidth=2.0).sums(points, jnp.ones((2, 1))).attraction[:, 0]]
    [1.607, 1.607]
    """

    short_name = "rbf"

    def profile(self, u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        value = jnp.exp(-u)
        return value, -value, value

    def median_factor(self, n: int) -> float:
        return 1.0 / float(np.log(n + 1.0))


@dataclass(frozen=True)
class IMQ(RadialKernel):
    r"""The inverse multiquadric kernel :math:`k(x, y) = (1 + |x - y|^2 / h)^{-1/2}`.

    Its tails are heavy: particles feel each other over any distance, and its Stein discrepancy detects tails that the
    Gaussian kernel's does not. The default bandwidth is the median of the squared distances.

    Parameters
    ----------
    bandwidth : float, optional
        ``h``; the median of the squared distances by default.
    standardize : bool
        Whether distances are in units of the particles' standard deviations.

    References
    ----------
    Gorham and Mackey (2017). Measuring sample quality with kernels. ICML, theorem 8.
    """

    short_name = "imq"

    def profile(self, u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        inverse = 1.0 / (1.0 + u)
        value = jnp.sqrt(inverse)
        first = -0.5 * value * inverse
        return value, first, -1.5 * first * inverse

    def median_factor(self, n: int) -> float:
        return 1.0


@dataclass(frozen=True)
class PairKernel(Kernel):
    """A user's function ``k(x, y)`` of two points ``(D,)``, written in JAX.

    Derivatives are taken by JAX, one particle after the other: slower than the kernels above, by a factor of about
    ``D``.

    Parameters
    ----------
    function : callable
        ``function(x, y) -> scalar``; symmetric and positive definite.
    standardize : bool
        Whether the function gets points in units of the particles' standard deviations, instead of the points.
    """

    function: Callable[[jax.Array, jax.Array], jax.Array]
    standardize: bool = False
    short_name = "pair"

    def sums(self, points: jax.Array, scores: jax.Array) -> Sums:
        self._check(points)
        value_and_slope = jax.value_and_grad(self.function)
        basis = jnp.eye(points.shape[1], dtype=points.dtype)

        def trace(x: jax.Array, y: jax.Array) -> jax.Array:
            slope = jax.grad(self.function)
            second = jax.vmap(lambda e: jax.jvp(lambda v: slope(x, v), (y,), (e,))[1])(basis)
            return jnp.trace(second)

        def around(pair: tuple[jax.Array, jax.Array]) -> Sums:
            y, score = pair
            values, slopes = jax.vmap(lambda x: value_and_slope(x, y))(points)
            traces = jax.vmap(lambda x: trace(x, y))(points)
            value, slope = value_and_slope(y, y)
            return Sums(values @ scores, jnp.sum(slopes, axis=0), jnp.sum(traces), value * score + slope)

        sums: Sums = jax.lax.map(around, (points, scores))
        return sums._replace(trace=jnp.sum(sums.trace))

    def _check(self, points: jax.Array) -> None:
        result = jax.eval_shape(self.function, points[0], points[0])
        if getattr(result, "shape", None) != ():
            raise TypeError(
                f"kernel={self.function!r} must return a scalar for two points of shape {points[0].shape}, "
                f"got {result}."
            )


KERNELS: dict[str, type[Kernel]] = {"rbf": RBF, "imq": IMQ}
"""The kernels by the name that ``kernel=`` takes; contract tests run over all of them."""


def kernel_from(given: Any) -> Kernel:
    """The kernel meant by a name, a kernel, or a function of two points."""
    if isinstance(given, Kernel):
        return given
    if isinstance(given, str) and given.lower() in KERNELS:
        return KERNELS[given.lower()]()
    if type(given).__module__ == "pymc.variational.test_functions" and type(given).__name__ == "RBF":
        return RBF()
    if callable(given) and not isinstance(given, type):
        return PairKernel(given)
    if isinstance(given, type) and issubclass(given, Kernel):
        raise TypeError(f"kernel={given.__name__} is a class; make one: vi.kernels.{given.__name__}().")
    raise ValueError(
        f"kernel={given!r} is unknown; use {', '.join(map(repr, KERNELS))}, a kernel (vi.kernels.RBF(bandwidth=1.0)) "
        "or a JAX function k(x, y) of two points."
    )


@functools.cache
def _pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A fixed sample of pairs of different points; all of them where there are few."""
    if n * (n - 1) // 2 <= PAIRS:
        rows, columns = np.triu_indices(n, 1)
    else:
        generator = np.random.default_rng(n)
        rows = generator.integers(n, size=PAIRS)
        columns = (rows + generator.integers(1, n, size=PAIRS)) % n
    return rows.astype(np.int32), columns.astype(np.int32)
