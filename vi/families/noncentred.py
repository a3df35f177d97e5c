"""Partial non-centring: a family in coordinates that follow a hierarchy's locations and scales."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from vi.families.conditionals import Conditionals
from vi.families.family import FAMILIES, Family, Frame, Noise, Params
from vi.families.low_rank import LowRank
from vi.families.point import point_entries
from vi.foundation.arguments import instance

__all__ = ["Noncentred"]

CENTRING = "centring"


@FAMILIES.register
@dataclass(frozen=True, repr=False)
class Noncentred(Family):
    r"""Another family in partially non-centred coordinates, each with a learned share of centring.

    A location-scale variable of the model is :math:`z = l + \sigma\, e`, where its location
    :math:`l` and its scale :math:`\sigma` are functions of other coordinates. A draw :math:`u` of
    the inner family becomes one of q, parents first, by

    .. math:: z = c + r\,(u - c) + (1 - \lambda r)(l - c), \qquad
              r = (\sigma / s)^{1 - \lambda}

    where :math:`c` and :math:`s` are location and scale at the inner family's mean :math:`m`. With
    :math:`\lambda = 1`, centred, ``z = u``; with :math:`\lambda = 0`, non-centred,
    :math:`z = l + (\sigma / s)(u - c)`. Up to a shift and a length of each coordinate
    :math:`u` is the variable of Gorinova, Moore and Hoffman,
    :math:`\tilde z \sim N(\lambda l, \sigma^\lambda)` in units of s. In these units ``u = m``
    becomes ``z = m`` for every :math:`\lambda`, so that the inner family's location and widths are
    those of q at its centre and need not follow as :math:`\lambda` is learned. The map is
    triangular:

    .. math:: \log q(z) = \log q_\mathrm{inner}(u) - \sum (1 - \lambda)(\log \sigma - \log s)

    In a random walk or an autoregression the location has the entry before in it, so that a learned
    :math:`\lambda` is also how much of the last step is carried on.

    Parameters are those of the inner family, in the coordinates ``u``, and ``centring``: for each
    entry of each such variable :math:`\lambda = 1 / (1 + e^{-\mathrm{centring}})`, one after the
    other in the order of :attr:`conditionals`. Draws, ``log_prob`` and moments are those of q, in
    the model's coordinates; moments are those of 10,000 fixed draws. The model's data are in
    :math:`l` and :math:`\sigma` as they were when the family was made. Any others would do
    too: q is what the formula says.

    Parameters
    ----------
    conditionals : Conditionals
        Locations and scales; :class:`vi.Noncentred` reads them from the model.
    family : Family
        The inner family: with a density, and a mean in closed form. Low rank by default.

    Raises
    ------
    TypeError
        If the inner family has no density, no width in a coordinate, or a mean that is an estimate.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    >>> vi.Noncentred(vi.families.MeanField(), model=model, random_seed=1).family
    <Noncentred mean_field: effect>

    References
    ----------
    Gorinova, Moore and Hoffman (2020). Automatic reparameterisation of probabilistic programs.
    ICML, section 4.
    """

    conditionals: Conditionals
    family: Family = field(default_factory=LowRank)
    short_name = "noncentred"
    default_estimator = "sticking_the_landing"
    exact_moments = False

    def __post_init__(self) -> None:
        what = "what vi.Noncentred(model=model) reads from a model"
        instance("Noncentred(conditionals", self.conditionals, Conditionals, what)
        inner = instance("Noncentred(family", self.family, Family, "vi.families.LowRank(), say")
        # a point's density counts 0, which it does no longer after a change of variables
        points = not inner.has_width or len(point_entries(inner, self.conditionals.dim))
        if points or not (inner.has_density and inner.exact_mean):
            raise TypeError(
                f"Noncentred(family={inner!r}): give a family with a density, a width in every "
                "coordinate and a mean in closed form, vi.families.LowRank(), FullRank(), "
                "MeanField() or vi.structure(model).family."
            )

    def __repr__(self) -> str:
        names = ", ".join(self.conditionals.names)
        return f"<Noncentred {self.family.short_name}: {names}>"

    @property
    def default_draws(self) -> int:  # type: ignore[override]
        """As many as the inner family's."""
        return self.family.default_draws

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the inner family's noise is."""
        return self.family.symmetric

    @property
    def pairs_in_batches(self) -> bool:  # type: ignore[override]
        """Whether the inner family wants them."""
        return self.family.pairs_in_batches

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        if mean.size != self.conditionals.dim:
            raise ValueError(
                f"The family {self.short_name!r} is one of {self.conditionals.dim} coordinates, "
                f"not of {mean.size}: it belongs to the model that it was made from."
            )
        half = jnp.zeros(self.conditionals.size, mean.dtype)
        return {**self.family.init(mean, std, key), CENTRING: half}

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return self.family.noise(key, inner_of(params))

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        return self.placed(params, self.family.draw(inner_of(params), noise))[0]

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        u, log_q = self.family.draw_and_log_prob(inner_of(params), noise)
        z, log_det = self.placed(params, u)
        return z, log_q - log_det

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        inner = inner_of(params)
        shares, centre = self.centring(params), self.family.mean(inner)
        u, log_det = self.conditionals.from_model(z, shares, centre)
        return self.family.log_prob(inner, u) - log_det

    def placed(self, params: Params, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The point of q for one of the inner family, and the log Jacobian determinant."""
        centre = self.family.mean(inner_of(params))
        return self.conditionals.to_model(u, self.centring(params), centre)

    def centring(self, params: Params) -> jax.Array:
        r""":math:`\lambda` of each entry of each variable, from 0 (non-centred) to 1 (centred)."""
        return jax.nn.sigmoid(params[CENTRING])

    def units(self, params: Params) -> Params:
        one = jnp.ones_like(params[CENTRING])
        return {**self.family.units(inner_of(params)), CENTRING: one}

    def frame(self, params: Params) -> Frame | None:
        frame = self.family.frame(inner_of(params))
        return None if frame is None else _InnerFrame(frame)

    def trains(self, name: str) -> bool:
        return name == CENTRING or self.family.trains(name)


def inner_of(params: Params) -> Params:
    """The parameters of the inner family."""
    return {name: value for name, value in params.items() if name != CENTRING}


@dataclass(frozen=True)
class _InnerFrame(Frame):
    """The inner family's frame; shares of centring are not in it."""

    frame: Frame

    def gradient(self, gradient: Params) -> Params:
        return self.frame.gradient(inner_of(gradient))

    def change(self, step: Params) -> Params:
        return self.frame.change(inner_of(step))
