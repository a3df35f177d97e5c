"""What a variational family is: settings and pure functions of its parameters, for one draw."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from vi.foundation.registry import Registry
from vi.foundation.unset import Unset

__all__ = ["FAMILIES", "Family", "Frame", "Noise", "Params", "Within"]

type Params = dict[str, jax.Array]

type Noise = Any
"""The random numbers behind one draw: an array, or a pytree of arrays."""

MOMENT_DRAWS = 10_000
"""Draws behind the moments of a family that has none in closed form."""


class Frame(abc.ABC):
    """Coordinates of the parameters in which q is a standard one.

    A step of one unit in them is as long for a q with strong correlations as for one without. Both
    methods take parameters by name and return those that the frame is of; all others are measured
    in :meth:`Family.units`.

    For every gradient ``g`` and short step ``h``, ``g . change(h) = gradient(g) . h``: both are the
    first-order change of a function. :func:`vi.testing.check_family` looks at it.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from vi.families import FullRank
    >>> family = FullRank()
    >>> params = family.at(jnp.zeros(2), jnp.array([[1.0, 0.0], [3.0, 4.0]]))
    >>> frame = family.frame(params)
    >>> step = {"mu": jnp.array([1.0, 0.0]), "L_tril": jnp.zeros(3)}
    >>> np.asarray(frame.change(step)["mu"]).round(3).tolist()  # an sd of the first noise
    [1.0, 3.0]
    """

    @abc.abstractmethod
    def gradient(self, gradient: Params) -> Params:
        """The gradient in the frame's coordinates."""

    @abc.abstractmethod
    def change(self, step: Params) -> Params:
        """By what the parameters change in a step in the frame's coordinates."""

    def within(self) -> Within | None:
        """The same q seen from within the frame, where that makes gradients cheaper.

        ``None``: gradients are taken in the parameters, and turned.
        """
        return None


@dataclass(frozen=True)
class Within:
    """A q in coordinates in which it is a standard one, for gradients that are taken there.

    A draw is its noise there, so that the score of q needs no inverse and a gradient no product.

    Parameters
    ----------
    family : Family
        Makes the draws there from the noise that the family of q has; its densities and its
        entropy are those of q.
    params : dict
        What that family is q at.
    place : callable
        The draw of q, ``(D,)``, that a draw there stands for.
    gradient : callable
        From the gradient in `params`, what :meth:`Frame.gradient` makes of that in q's parameters.
    """

    family: Family
    params: Params
    place: Callable[[jax.Array], jax.Array]
    gradient: Callable[[Params], Params]


class Family(abc.ABC):
    """A set of distributions ``q(z | params)`` on ``R^D`` that can be drawn from.

    A family is a frozen dataclass that holds settings and no arrays, so that equal settings are
    equal objects (compiled code is shared between them). Its parameters are a plain dict of arrays.
    Every method is a pure JAX function, for **one** draw; batching is ``vmap``, done by the caller.

    To write a family, subclass this in one file under ``@FAMILIES.register``, give it a
    ``short_name`` and implement the abstract methods; check it with
    :func:`vi.testing.check_family`. *Extending* in the documentation has a worked example.
    """

    short_name: str
    """The name of the family in arguments, files and summaries, ``"mean_field"`` for example."""

    aliases: tuple[str, ...] = ()
    """Other names that arguments take, ``("mf",)`` for example."""

    default_estimator: str = Unset(  # type: ignore[assignment]
        "has no default_estimator: set it in the class, to 'closed_form' where entropy() has a "
        "formula, otherwise to 'sticking_the_landing' or 'monte_carlo'; or give estimator="
    )
    """The estimator of the ELBO that suits the family, by name: see :class:`vi.KLqp`."""

    estimator_of_plain_steps: str = ""
    """The estimator, by name, that suits steps which know neither units nor frame, if not the same.

    Adam of a constant rate in the parameters themselves, for example.
    """

    default_draws: int = 1
    """Draws a step that suit the family, where the user does not say how many."""

    symmetric: bool = False
    """Whether noise and minus that noise are equally likely, so that draws can come in pairs."""

    pairs_in_batches: bool = False
    """Whether a step on a batch of rows takes draws in pairs by default, of noise and its negative.

    The noise of a batch, which both have, cancels in what multiplies their difference: in every
    entry of a covariance but for the diagonal, of which there are too many to stand it.
    """

    has_density: bool = True
    """Whether ``q`` has a density and draws a gradient in the parameters; false for particles."""

    has_width: bool = True
    """Whether draws differ; false for points, whose ``log_prob`` and entropy count 0 and whose
    standard deviations are 0.
    """

    exact_moments: bool = True
    """Whether ``mean``, ``std`` and ``cov`` are exact; the default ones are taken from draws."""

    @property
    def exact_mean(self) -> bool:
        """Whether ``mean`` is exact; the default one is taken from draws."""
        return type(self).mean is not Family.mean

    @abc.abstractmethod
    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        """Parameters of a start around ``mean`` with scale ``std``, both ``(D,)``.

        What is random in it comes from ``key``.
        """

    @abc.abstractmethod
    def noise(self, key: jax.Array, params: Params) -> Noise:
        """Random numbers behind one draw.

        Their distribution must not depend on the values of ``params``.
        """

    @abc.abstractmethod
    def draw(self, params: Params, noise: Noise) -> jax.Array:
        """One draw ``z``, shape ``(D,)``, differentiable in ``params`` for the same ``noise``."""

    @abc.abstractmethod
    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        """Return ``log q(z | params)``, a scalar."""

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        """Return a draw and its ``log q``; a family that knows both from one pass says so here."""
        z = self.draw(params, noise)
        return z, self.log_prob(params, z)

    def log_prob_of_draw(self, params: Params, noise: Noise, z: jax.Array) -> jax.Array:
        """Return ``log q(z | params)`` of the draw ``z`` of that noise, a function of ``z`` alone.

        Its gradient in ``z`` is the score of q there, that in ``params`` is 0. A family that knows
        the score from the noise says so here.
        """
        return self.log_prob(jax.lax.stop_gradient(params), z)

    def entropy(self, params: Params) -> jax.Array | None:
        """Entropy ``-E_q[log q]`` in closed form, a scalar; ``None`` where there is none."""
        return None

    def mean(self, params: Params) -> jax.Array:
        """Mean of ``q``, shape ``(D,)``."""
        return jnp.mean(self._some_draws(params), axis=0)

    def cov(self, params: Params) -> jax.Array:
        """Covariance of ``q``, shape ``(D, D)``."""
        draws = self._some_draws(params)
        centred = draws - jnp.mean(draws, axis=0)
        cov: jax.Array = centred.T @ centred / len(draws)
        return cov

    def std(self, params: Params) -> jax.Array:
        """Marginal standard deviations of ``q``, shape ``(D,)``."""
        return jnp.std(self._some_draws(params), axis=0)

    @abc.abstractmethod
    def units(self, params: Params) -> Params:
        """The natural unit of a step in each parameter, shaped like ``params``.

        A location's unit is the standard deviation of ``q`` there; a scale parameter's unit changes
        the scale by a factor ``e`` to first order. Steps taken in these units do not depend on the
        units of the data.
        """

    def frame(self, params: Params) -> Frame | None:
        """Units in which a step of one parameter is a step of several, where they are matrices.

        ``None``: :meth:`units` is all there is.
        """
        return None

    def trains(self, name: str) -> bool:
        """Whether a fit changes the parameter of that name; what it does not change is frozen.

        False too where draws have no gradient in it, as in the weights of a mixture.
        """
        return True

    def _some_draws(self, params: Params) -> jax.Array:
        """Draws behind estimated moments, the same ones at every call."""
        keys = jax.random.split(jax.random.key(0), MOMENT_DRAWS)
        draws: jax.Array = jax.lax.map(
            lambda key: self.draw(params, self.noise(key, params)), keys, batch_size=1_000
        )
        return draws


FAMILIES: Registry[type[Family]] = Registry("family", of=Family)
"""The families by name: ``family=`` takes the names, files hold them, contract tests run over all
that are registered."""


@jax.jit  # at a start it is called on its own: one compilation in place of four
def inverse_softplus(x: jax.Array) -> jax.Array:
    r"""The ``r`` with ``softplus(r) = x``, without overflow for large ``x``."""
    return x + jnp.log(-jnp.expm1(-x))
