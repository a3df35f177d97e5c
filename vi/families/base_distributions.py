"""Base distributions of location-scale families: the noise before it is scaled and moved."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from vi.foundation.numbers import number
from vi.foundation.registry import Registry

__all__ = [
    "BASES",
    "Base",
    "Elliptical",
    "Laplace",
    "Logistic",
    "MultivariateT",
    "Normal",
    "StudentT",
]


class Base(abc.ABC):
    """A distribution of vectors ``e`` of any length, centred at 0.

    Its density and entropy have closed forms. A frozen dataclass of settings. A family
    that is given a base draws ``z = location + scale e``.

    Heavy tails suit locations. Where a coordinate is the logarithm of a scale, the log density
    falls exponentially in it, and its expectation under a t does not exist: the ELBO is minus
    infinity, though every estimate of it is finite.
    """

    short_name: str
    """Name of the base in files."""

    symmetric: bool = False
    """Whether ``e`` and ``-e`` are equally likely."""

    @property
    @abc.abstractmethod
    def std(self) -> float:
        """Standard deviation of each entry; entries are uncorrelated."""

    @abc.abstractmethod
    def noise(self, key: jax.Array, size: int, dtype: jnp.dtype) -> jax.Array:
        """One vector ``e`` of shape ``(size,)``."""

    @abc.abstractmethod
    def log_prob(self, e: jax.Array) -> jax.Array:
        """Log density of a vector, a scalar."""

    @abc.abstractmethod
    def entropy(self, size: int) -> jax.Array | float:
        """Entropy of a vector of ``size`` entries."""


BASES: Registry[type[Base]] = Registry("base distribution", of=Base)
"""The bases by name: files hold the names, contract tests run over all."""


class Elliptical(Base):
    """A base whose density depends on ``|e|^2`` only, as that of every linear map of ``e`` does."""

    @abc.abstractmethod
    def log_prob_of_square(self, square: jax.Array, size: int) -> jax.Array:
        """Log density of a vector of ``size`` entries with squared length ``square``."""

    def log_prob(self, e: jax.Array) -> jax.Array:
        return self.log_prob_of_square(jnp.sum(jnp.square(e)), e.size)


@BASES.register
@dataclass(frozen=True)
class Normal(Elliptical):
    """The standard normal.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> round(float(Normal().log_prob(jnp.zeros(1))), 4)
    -0.9189
    """

    short_name = "normal"
    symmetric = True

    @property
    def std(self) -> float:
        return 1.0

    def noise(self, key: jax.Array, size: int, dtype: jnp.dtype) -> jax.Array:
        return jax.random.normal(key, (size,), dtype)

    def log_prob_of_square(self, square: jax.Array, size: int) -> jax.Array:
        return -0.5 * square - 0.5 * size * math.log(2.0 * math.pi)

    def entropy(self, size: int) -> float:
        return 0.5 * size * (1.0 + math.log(2.0 * math.pi))


@dataclass(frozen=True)
class _T(Base):
    """What the two t distributions share: degrees of freedom, and their standard deviation."""

    df: float = 5.0

    def __post_init__(self) -> None:
        name = f"{type(self).__name__}(df"
        df = number(name, self.df, above=2.0, why="so that the variance exists")
        object.__setattr__(self, "df", df)

    @property
    def std(self) -> float:
        return math.sqrt(self.df / (self.df - 2.0))


@BASES.register
@dataclass(frozen=True)
class StudentT(_T):
    r"""Independent Student t entries: heavy tails in every coordinate by itself.

    For locations; see :class:`Base` for what happens with logarithms of scales.

    Parameters
    ----------
    df : float
        Degrees of freedom, more than 2 so that the variance ``df / (df - 2)`` exists. Fixed, not
        fitted.

    Raises
    ------
    ValueError
        If ``df`` is not more than 2.
    """

    short_name = "student_t"
    symmetric = True

    def noise(self, key: jax.Array, size: int, dtype: jnp.dtype) -> jax.Array:
        return jax.random.t(key, self.df, (size,), dtype)

    def log_prob(self, e: jax.Array) -> jax.Array:
        return jnp.sum(_log_t(jnp.square(e), self.df, 1))

    def entropy(self, size: int) -> jax.Array:
        return size * _entropy_t(self.df, 1)


@BASES.register
@dataclass(frozen=True)
class MultivariateT(_T, Elliptical):
    r"""The spherical multivariate t: a normal vector over one common root of a chi-squared.

    :math:`e = n / \sqrt{\chi^2_{df} / df}`: heavy tails in all directions together, entries that
    are uncorrelated but not independent. The base to take for full-rank and low-rank families,
    whose scale matrix then keeps its meaning in every direction.

    Parameters
    ----------
    df : float
        Degrees of freedom, more than 2 so that the variance ``df / (df - 2)`` exists. Fixed, not
        fitted.

    Raises
    ------
    ValueError
        If ``df`` is not more than 2.
    """

    short_name = "multivariate_t"
    symmetric = True

    def noise(self, key: jax.Array, size: int, dtype: jnp.dtype) -> jax.Array:
        direction, common = jax.random.split(key)
        chi_square = 2.0 * jax.random.gamma(common, 0.5 * self.df, (), dtype)
        return jax.random.normal(direction, (size,), dtype) * jnp.sqrt(self.df / chi_square)

    def log_prob_of_square(self, square: jax.Array, size: int) -> jax.Array:
        return _log_t(square, self.df, size)

    def entropy(self, size: int) -> jax.Array:
        return _entropy_t(self.df, size)


@BASES.register
@dataclass(frozen=True)
class Laplace(Base):
    """Independent Laplace (double exponential) entries: a peak in the middle, exponential tails."""

    short_name = "laplace"
    symmetric = True

    @property
    def std(self) -> float:
        return math.sqrt(2.0)

    def noise(self, key: jax.Array, size: int, dtype: jnp.dtype) -> jax.Array:
        return jax.random.laplace(key, (size,), dtype)

    def log_prob(self, e: jax.Array) -> jax.Array:
        return -jnp.sum(jnp.abs(e)) - e.size * math.log(2.0)

    def entropy(self, size: int) -> float:
        return size * (1.0 + math.log(2.0))


@BASES.register
@dataclass(frozen=True)
class Logistic(Base):
    """Independent logistic entries: smooth in the middle, exponential tails."""

    short_name = "logistic"
    symmetric = True

    @property
    def std(self) -> float:
        return math.pi / math.sqrt(3.0)

    def noise(self, key: jax.Array, size: int, dtype: jnp.dtype) -> jax.Array:
        return jax.random.logistic(key, (size,), dtype)

    def log_prob(self, e: jax.Array) -> jax.Array:
        return jnp.sum(jax.nn.log_sigmoid(e) + jax.nn.log_sigmoid(-e))

    def entropy(self, size: int) -> float:
        return 2.0 * size


def check_base(family: Any, base: Any) -> None:
    """Refuse what is no instance of a base."""
    if not isinstance(base, Base):
        known = ", ".join(f"{kind.__name__}()" for kind in BASES.values())
        raise TypeError(
            f"{type(family).__name__}(base={base!r}): expected an instance of a base: {known}."
        )


def _log_t(square: jax.Array, df: float, size: int) -> jax.Array:
    """Log density of a spherical t vector of ``size`` entries by its squared length."""
    constant = (
        math.lgamma(0.5 * (df + size)) - math.lgamma(0.5 * df) - 0.5 * size * math.log(df * math.pi)
    )
    return constant - 0.5 * (df + size) * jnp.log1p(square / df)


def _entropy_t(df: float, size: int) -> jax.Array:
    constant = (
        math.lgamma(0.5 * (df + size)) - math.lgamma(0.5 * df) - 0.5 * size * math.log(df * math.pi)
    )
    return -constant + 0.5 * (df + size) * (digamma(0.5 * (df + size)) - digamma(0.5 * df))
