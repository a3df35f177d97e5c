"""Mixtures of one family: several places, each with a shape and a weight of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from vi.families.family import FAMILIES, Family, Frame, Noise, Params
from vi.families.full_rank import FullRank
from vi.foundation.numbers import whole

__all__ = ["Mixture"]

WEIGHTS = "log_weights"

BETWEEN = 0.5
"""The share of a start's variance that lies between its components."""


@FAMILIES.register
@dataclass(frozen=True)
class Mixture(Family):
    r"""``K`` members of a family, :math:`q(z) = \sum_k w_k\, q_k(z)`.

    Parameters are those of one component with a leading axis of length ``K``, and ``log_weights``
    of shape ``(K,)``, whose softmax are the weights. With the default family, ``K`` dense normals:
    ``mu`` of shape ``(K, D)`` and ``L_tril`` of shape ``(K, D (D + 1) / 2)``, packed as those of
    :class:`FullRank`. ``Mixture(MeanField())`` is one of diagonal normals, for many dimensions.

    Mean, standard deviations and covariance are in closed form, the entropy has none. A draw
    chooses its component by the weights, a choice without a gradient: a fit by steps moves the
    components, whose gradients are exact, and leaves the weights as they are (:meth:`trains`).
    ``method="auto"`` sets them, where it finds several modes.

    Parameters
    ----------
    family : Family
        Family of the components, with a density and moments in closed form.
    components : int
        ``K``.

    Raises
    ------
    TypeError
        If the family of the components has no density, or its moments are estimates.
    ValueError
        If there is not even one component.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from vi.families import FullRank, Mixture
    >>> one = FullRank()
    >>> ends = [one.at(jnp.array([x]), jnp.eye(1)) for x in (-3.0, 3.0)]
    >>> family = Mixture(components=2)
    >>> params = family.joined([0.75, 0.25], ends)
    >>> [round(float(moment), 3) for moment in (family.mean(params)[0], family.cov(params)[0, 0])]
    [-1.5, 7.75]

    References
    ----------
    Morningstar, Vikram, Ham, Gallagher and Dillon (2021). Automatic differentiation variational
    inference with mixtures. AISTATS. (There the components are stratified, which gives the weights
    a gradient for ``K`` times as many evaluations.)
    """

    family: Family = field(default_factory=FullRank)
    components: int = 2
    short_name = "mixture"
    aliases = ("mix",)
    default_estimator = "sticking_the_landing"
    default_draws = 8

    def __post_init__(self) -> None:
        if not isinstance(self.family, Family):
            raise TypeError(
                f"Mixture(family={self.family!r}): give an instance of a family, "
                "vi.families.FullRank() or vi.families.MeanField()."
            )
        if isinstance(self.family, Mixture):
            raise TypeError(
                f"Mixture(family={self.family!r}): a mixture of mixtures is one mixture of all "
                "their components; give the family of these and their number."
            )
        if not (self.family.has_density and self.family.exact_moments):
            raise TypeError(
                f"Mixture(family={self.family!r}): components need a density and moments in closed "
                "form, as those of vi.families.FullRank() and vi.families.MeanField()."
            )
        number = whole("Mixture(components", self.components, 1)
        object.__setattr__(self, "components", number)

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        where, inside = jax.random.split(key)
        count = self.components
        offsets = jax.random.normal(where, (count, mean.size), mean.dtype)
        offsets = offsets - jnp.mean(offsets, axis=0)
        between = BETWEEN if count > 1 else 0.0
        size = jnp.sqrt(jnp.mean(jnp.square(offsets), axis=0))
        offsets = offsets * jnp.sqrt(between) / jnp.where(size > 0, size, 1)
        within = std * jnp.sqrt(jnp.asarray(1.0 - between, std.dtype))
        params: Params = jax.vmap(self.family.init, (0, None, 0))(
            mean + std * offsets, within, jax.random.split(inside, count)
        )
        return {WEIGHTS: jnp.zeros(count, mean.dtype)} | params

    def joined(self, weights: Any, components: Sequence[Params]) -> Params:
        """The parameters with these weights and these parameters of the components."""
        if len(components) != self.components:
            raise ValueError(
                f"{len(components)} components were given to a mixture of {self.components}."
            )
        stacked: Params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *components)
        dtype = jax.tree.leaves(stacked)[0].dtype
        return {WEIGHTS: jnp.log(jnp.asarray(weights, dtype))} | stacked

    def noise(self, key: jax.Array, params: Params) -> Noise:
        which, inside = jax.random.split(key)
        one = {name: value[0] for name, value in self.parts(params).items()}
        return (
            jax.random.uniform(which, dtype=params[WEIGHTS].dtype),
            self.family.noise(inside, one),
        )

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        place, inside = noise
        ends = jnp.cumsum(self.weights(params))[:-1]
        chosen = jnp.sum(place >= ends)
        return self.family.draw(
            {name: value[chosen] for name, value in self.parts(params).items()}, inside
        )

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        log_q: jax.Array = jax.nn.logsumexp(self.log_parts(params, z))
        return log_q

    def log_parts(self, params: Params, z: jax.Array) -> jax.Array:
        """Log of each component's density times its weight, ``(K,)``."""
        each = self._each(lambda part: self.family.log_prob(part, z), params)
        log_parts: jax.Array = jax.nn.log_softmax(params[WEIGHTS]) + each
        return log_parts

    def weights(self, params: Params) -> jax.Array:
        """The weights of the components, ``(K,)``."""
        return jax.nn.softmax(params[WEIGHTS])

    def parts(self, params: Params) -> Params:
        """The parameters of the components, each with a leading axis of length ``K``."""
        return {name: value for name, value in params.items() if name != WEIGHTS}

    def mean(self, params: Params) -> jax.Array:
        mean: jax.Array = self.weights(params) @ self._each(self.family.mean, params)
        return mean

    def std(self, params: Params) -> jax.Array:
        apart = self._each(self.family.mean, params) - self.mean(params)
        within = self._each(self.family.std, params)
        return jnp.sqrt(self.weights(params) @ (jnp.square(within) + jnp.square(apart)))

    def cov(self, params: Params) -> jax.Array:
        apart = self._each(self.family.mean, params) - self.mean(params)
        cov: jax.Array = self.cov_within(params) + (apart.T * self.weights(params)) @ apart
        return cov

    def std_within(self, params: Params) -> jax.Array:
        """The standard deviations of :meth:`cov_within`, ``(D,)``."""
        within = jnp.square(self._each(self.family.std, params))
        return jnp.sqrt(self.weights(params) @ within)

    def cov_within(self, params: Params) -> jax.Array:
        """The mean of the components' covariances, ``(D, D)``: how far a step within one goes."""
        covs = self._each(self.family.cov, params)
        return jnp.tensordot(self.weights(params), covs, 1)

    def units(self, params: Params) -> Params:
        units: Params = self._each(self.family.units, params)
        return {WEIGHTS: jnp.ones_like(params[WEIGHTS])} | units

    def frame(self, params: Params) -> Frame | None:
        one = {name: value[0] for name, value in self.parts(params).items()}
        if self.family.frame(one) is None:
            return None
        return _FrameOfEach(self.family, self.parts(params))

    def trains(self, name: str) -> bool:
        return name != WEIGHTS and self.family.trains(name)

    def _each(self, function: Callable[[Params], Any], params: Params) -> Any:
        return jax.vmap(function)(self.parts(params))


@dataclass(frozen=True)
class _FrameOfEach(Frame):
    """Each component's own frame."""

    family: Family
    parts: Params

    def gradient(self, gradient: Params) -> Params:
        own = {name: gradient[name] for name in self.parts}
        turned: Params = jax.vmap(lambda part, of: self._frame(part).gradient(of))(self.parts, own)
        return turned

    def change(self, step: Params) -> Params:
        change: Params = jax.vmap(lambda part, of: self._frame(part).change(of))(self.parts, step)
        return change

    def _frame(self, part: Params) -> Frame:
        frame = self.family.frame(part)
        assert frame is not None
        return frame
