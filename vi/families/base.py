"""What a variational family is: settings plus pure functions of its parameters, written for one draw."""

from __future__ import annotations

import abc

import jax
import jax.numpy as jnp

__all__ = ["Family", "Params"]

type Params = dict[str, jax.Array]


class Family(abc.ABC):
    """A set of densities ``q(z | params)`` on ``R^D`` that can be drawn from by a differentiable map.

    A family is a frozen dataclass that holds settings and no arrays, so that equal settings are equal objects (compiled
    code is shared between them). Its parameters are a plain dict of arrays. Every method is a pure JAX function, for
    **one** draw; batching is ``vmap``, done by the caller.

    To write a family, subclass this in one file, give it a ``short_name`` and implement the abstract methods; check it
    with :func:`vi.testing.check_family`.
    """

    short_name: str
    """The name under which the family is stored in files and shown in summaries, ``"mean_field"`` for example."""

    default_estimator: str
    """The estimator of the ELBO that suits the family, by name: see :class:`vi.KLqp`."""

    @abc.abstractmethod
    def init(self, mean: jax.Array, std: jax.Array) -> Params:
        """Parameters of a start around ``mean`` with scale ``std``, each of shape ``(D,)``."""

    @abc.abstractmethod
    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        """Random numbers behind one draw; their distribution must not depend on the values of ``params``."""

    @abc.abstractmethod
    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        """One draw ``z``, shape ``(D,)``, a differentiable function of ``params`` for given ``noise``."""

    @abc.abstractmethod
    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        """Return ``log q(z | params)``, a scalar."""

    @abc.abstractmethod
    def entropy(self, params: Params) -> jax.Array | None:
        """Entropy ``-E_q[log q]`` in closed form, a scalar; ``None`` where there is none."""

    @abc.abstractmethod
    def mean(self, params: Params) -> jax.Array:
        """Mean of ``q``, shape ``(D,)``."""

    @abc.abstractmethod
    def cov(self, params: Params) -> jax.Array:
        """Covariance of ``q``, shape ``(D, D)``."""

    @abc.abstractmethod
    def std(self, params: Params) -> jax.Array:
        """Marginal standard deviations of ``q``, shape ``(D,)``."""

    @abc.abstractmethod
    def units(self, params: Params) -> Params:
        """The natural unit of a step in each parameter, shaped like ``params``.

        A location's unit is the standard deviation of ``q`` there; a scale parameter's unit changes the scale by a
        factor ``e`` to first order. Steps taken in these units do not depend on the units of the data.
        """


def standard_normal(key: jax.Array, mean: jax.Array) -> jax.Array:
    """Standard normal noise shaped like a mean."""
    return jax.random.normal(key, mean.shape, mean.dtype)


def normal_log_prob(standardised: jax.Array, log_scales: jax.Array) -> jax.Array:
    r"""Sum of ``-e^2/2 - log s - log(2 pi)/2`` over the entries."""
    return jnp.sum(-0.5 * jnp.square(standardised) - log_scales) - 0.5 * standardised.size * jnp.log(2.0 * jnp.pi)


def normal_entropy(log_scales: jax.Array) -> jax.Array:
    r"""Entropy of a normal whose scale matrix has diagonal ``exp(log_scales)``."""
    return jnp.sum(log_scales) + 0.5 * log_scales.size * (1.0 + jnp.log(2.0 * jnp.pi))


def inverse_softplus(x: jax.Array) -> jax.Array:
    r"""The ``r`` with ``softplus(r) = x``, without overflow for large ``x``."""
    return x + jnp.log(-jnp.expm1(-x))
