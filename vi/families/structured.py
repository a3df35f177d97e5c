"""The structured family: some coordinates that all depend on, and sparse ties among the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import FAMILIES, Family, Frame, Params
from vi.families.full_rank import FullRank
from vi.families.own_parts import (
    centres,
    density_of_noise,
    noise_of,
    own_parts,
    shape_given,
    squares,
    variances,
)
from vi.families.own_shape import OwnShape
from vi.families.runs import taken
from vi.families.ties import Ties, coordinates, lists_of_coordinates, ties_of
from vi.foundation.numbers import flag
from vi.foundation.slopes import with_slope

__all__ = ["Structured"]

LOG_2PI = math.log(2.0 * math.pi)


@FAMILIES.register
@dataclass(frozen=True, repr=False)
class Structured(Family):
    r"""A normal of the globals, and of all others given them a sparse one whose shape they bend.

    .. math:: z_G = \mu_G + L e_G, \qquad
              z_i = \mu_i + c_i^\top e_G + u_i, \qquad
              u_i = \sum_{p \in \mathrm{pa}(i)} w_{ip}(e_G)\, t_p + e^{a_i + b_i^\top e_G} e_i

    with independent standard normal :math:`e`, and :math:`w_{ip}(e_G) = w_{ip} + v_{ip}^\top e_G`.
    What a coordinate takes from its parents, :math:`t_p`, is their :math:`u_p` (``inverse``:
    the weights are a sparse factor of the precision, for chains and trees) or their noise
    :math:`e_p` (the weights are a factor of the covariance, for groups). Given the globals q is
    normal; scales that are log-linear in them follow a hierarchy, which one dense normal does not.

    Parameters, ``g`` being the number of globals, ``n`` of the others, ``k`` of ties: ``mu``
    ``(D,)``, ``L_tril`` of the globals as in :class:`FullRank`; in the order of :attr:`order`:
    ``cross`` ``(g, n)``, ``log_scale`` ``(n,)`` and ``log_scale_slope`` ``(g, n)``; ``weight``
    ``(k,)`` and ``weight_slope`` ``(g, k)``. Those without entries are left out. Time and memory
    are ``O((n + k) g + g^2)``.

    ``log_prob``, entropy and mean are in closed form, ``std`` and ``cov`` too but for inverse ones
    with ties: these are averaged over 512 fixed values of :math:`e_G`, given which they are exact.

    Parameters
    ----------
    globals : tuple of int
        The coordinates that all others depend on; none is possible.
    parents : tuple of tuple of int
        For each other coordinate, in the order of the vector, those it takes from. They must not
        come in circles, and of an inverse one each two parents of a coordinate must be tied.
    inverse : bool
        Whether the ties are of the precision rather than of the covariance.

    Raises
    ------
    ValueError
        If coordinates are named twice or do not exist, or parents come in circles.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> family = Structured((0,), ((), (1,), (), (3,)))  # a scale, and two groups of two
    >>> params = family.init(jnp.zeros(5), jnp.ones(5), jax.random.key(0))
    >>> {name: value.shape for name, value in params.items()}["weight_slope"]
    (1, 2)
    >>> family.std(params).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]

    References
    ----------
    Tan, Bhaskaran and Nott (2020). Conditionally structured variational Gaussian approximation
    with importance weights. Statistics and Computing 30, section 3.
    """

    globals: tuple[int, ...]
    parents: tuple[tuple[int, ...], ...]
    inverse: bool = False
    short_name = "structured"
    default_estimator = "sticking_the_landing"
    default_draws = 2
    symmetric = True
    pairs_in_batches = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "globals", coordinates("globals", self.globals))
        object.__setattr__(self, "parents", lists_of_coordinates("parents", self.parents))
        object.__setattr__(self, "inverse", flag("inverse", self.inverse))
        self.ties  # noqa: B018 (refuses what is none)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        what = "inverse " if self.inverse else ""
        one = "" if len(self.globals) == 1 else "s"
        return (
            f"<Structured of {len(self.globals):,} global{one} and {len(self.parents):,} others "
            f"with {self.ties.count:,} {what}ties>"
        )

    @cached_property
    def _hash(self) -> int:
        return hash((self.globals, self.parents, self.inverse))

    @cached_property
    def ties(self) -> Ties:
        """The ties as arrays, in an order in which parents come first."""
        return ties_of(self.globals, self.parents, self.inverse)

    @property
    def order(self) -> np.ndarray:
        """The coordinates that are not global, in the order of the parameters."""
        return self.ties.order

    @property
    def exact_moments(self) -> bool:  # type: ignore[override]
        """Whether there are no ties of the precision."""
        return not (self.inverse and self.ties.count)

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        own = self.ties
        if mean.size != own.dim:
            raise ValueError(
                f"The family {self.short_name!r} is one of {own.dim} coordinates, not of "
                f"{mean.size}: it belongs to the model whose structure it was made from."
            )
        g = len(self.globals)
        params = {
            "mu": mean,
            "L_tril": FullRank().init(mean[:g], taken(std, np.array(self.globals, int)), key)[
                "L_tril"
            ],
            "log_scale": jnp.log(taken(std, own.order)),
        }
        for name, shape in self._shapes.items():
            params.setdefault(name, jnp.zeros(shape, mean.dtype))
        return {name: value for name, value in params.items() if value.size}

    def at(self, scale_tril: jax.Array, params: Params) -> Params:
        """Parameters with this Cholesky factor of the globals, ``(g, g)``."""
        mean = taken(params["mu"], np.array(self.globals, int))
        factor = FullRank().at(mean, scale_tril)["L_tril"]
        return {n: value for n, value in (params | {"L_tril": factor}).items() if value.size}

    def noise(self, key: jax.Array, params: Params) -> jax.Array:
        return jax.random.normal(key, params["mu"].shape, params["mu"].dtype)

    def draw(self, params: Params, noise: jax.Array) -> jax.Array:
        full = self._filled(params)
        at, own = jnp.split(noise, [len(self.globals)])
        parts = own_parts(self.ties, self.inverse, full, *shape_given(full, at), own)
        return params["mu"] + self._spread(full, at, parts)

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        full, own = self._filled(params), self.ties
        off = z - params["mu"]
        factor = self._factor(full)
        at = jax.scipy.linalg.solve_triangular(
            factor, taken(off, np.array(self.globals, int)), lower=True
        )
        scale, weight = shape_given(full, at)
        left = taken(off, own.order) - at @ full["cross"]
        square = jnp.sum(jnp.square(at)) + jnp.sum(
            jnp.square(noise_of(self.ties, self.inverse, full, scale, weight, left))
        )
        log_det = jnp.sum(jnp.log(jnp.diag(factor))) + jnp.sum(jnp.log(scale))
        return -0.5 * (square + z.size * LOG_2PI) - log_det

    def log_prob_of_draw(self, params: Params, noise: jax.Array, z: jax.Array) -> jax.Array:
        params, noise = jax.lax.stop_gradient((params, noise))
        full, factor = self._filled(params), self._factor(self._filled(params))
        log_det, score = density_of_noise(self.ties, self.inverse, full, factor, noise)
        log_q = -0.5 * (jnp.sum(jnp.square(noise)) + z.size * LOG_2PI) - log_det
        return with_slope(log_q, taken(score, self.ties.back), z)

    def entropy(self, params: Params) -> jax.Array:
        # the logarithms of scales are linear in noise of mean 0
        full = self._filled(params)
        log_det = jnp.sum(jnp.log(jnp.diag(self._factor(full)))) + jnp.sum(full["log_scale"])
        return 0.5 * params["mu"].size * (1.0 + LOG_2PI) + log_det

    def mean(self, params: Params) -> jax.Array:
        return params["mu"]

    def std(self, params: Params) -> jax.Array:
        full = self._filled(params)

        def given(at: jax.Array) -> jax.Array:
            scale, weight = shape_given(full, at)
            return self.ties.variances(jnp.square(scale), weight)

        if self.exact_moments:
            own = variances(self.ties, self.inverse, full)
        else:
            values = centres(len(self.globals), params["mu"].dtype)
            own = jnp.mean(jax.lax.map(given, values, batch_size=32), axis=0)
        return taken(jnp.concatenate(self._stds(full, own)), self.ties.back)

    def cov(self, params: Params) -> jax.Array:
        full, own = self._filled(params), self.ties
        if self.exact_moments:
            among = own.products(full)
        else:
            eye = jnp.eye(len(own.order), dtype=params["mu"].dtype)

            def given(at: jax.Array) -> jax.Array:
                shape = shape_given(full, at)
                rows = jax.vmap(
                    lambda unit: own_parts(self.ties, self.inverse, full, *shape, unit)
                )(eye)
                return rows.T @ rows

            values = centres(len(self.globals), params["mu"].dtype)
            among = jax.lax.fori_loop(
                0, len(values), lambda i, sum_: sum_ + given(values[i]), jnp.zeros_like(eye)
            ) / len(values)
        cross, g = jnp.concatenate([self._factor(full).T, full["cross"]], axis=1), len(self.globals)
        whole = (cross.T @ cross).at[g:, g:].add(among)
        return whole[own.back][:, own.back]

    def units(self, params: Params) -> Params:
        full, own = self._filled(params), self.ties
        g = len(self.globals)
        ends, local = self._stds(full, variances(self.ties, self.inverse, full))
        root = math.sqrt(max(g, 1))
        inner = {"mu": ends, "L_tril": full["L_tril"]}
        weight = own.weight_units(local, self.inverse)
        # shapes follow what is known of the globals: a slope is of the size of one per unit of a
        # logarithm, and a global that is known well bends nothing by its noise
        slope = jnp.minimum(1.0, jnp.diag(self._factor(full)))[:, None] / root
        units = {
            "mu": taken(jnp.concatenate([ends, local]), own.back),
            "L_tril": FullRank().units(inner)["L_tril"] if g else full["L_tril"],
            "log_scale": jnp.ones_like(full["log_scale"]),
            "cross": jnp.broadcast_to(local / root, full["cross"].shape),
            "log_scale_slope": jnp.broadcast_to(slope, full["log_scale_slope"].shape),
            "weight": weight,
            "weight_slope": weight * slope,
        }
        return {name: units[name] for name in params}

    def frame(self, params: Params) -> Frame:
        full = self._filled(params)
        scale, g = jnp.exp(full["log_scale"]), len(self.globals)

        def own(noise: jax.Array) -> jax.Array:
            return own_parts(self.ties, self.inverse, full, scale, full["weight"], noise)

        def moved(noise: jax.Array) -> jax.Array:
            return self._spread(full, noise[:g], own(noise[g:]))

        return OwnShape(moved, own, params["mu"], g)

    def _filled(self, params: Params) -> Params:
        """The parameters, with arrays of no entries where one is left out."""
        return {n: jnp.zeros(s, params["mu"].dtype) for n, s in self._shapes.items()} | params

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' but for the location's; of the factor that of one that is left out."""
        n, g, k = len(self.parents), len(self.globals), self.ties.count
        return {
            "L_tril": (0,),
            "cross": (g, n),
            "log_scale": (n,),
            "log_scale_slope": (g, n),
            "weight": (k,),
            "weight_slope": (g, k),
        }

    def _factor(self, full: Params) -> jax.Array:
        """The Cholesky factor of the globals, ``(g, g)``."""
        inner = {"mu": full["mu"][: len(self.globals)], "L_tril": full["L_tril"]}
        return FullRank().scale_tril(inner)

    def _spread(self, full: Params, at: jax.Array, own: jax.Array) -> jax.Array:
        """The change of the vector that this global noise and these own parts make."""
        both = jnp.concatenate([self._factor(full) @ at, at @ full["cross"] + own])
        return taken(both, self.ties.back)

    def _stds(self, full: Params, own: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The sds of globals and others, from variances of the own parts."""
        ends = jnp.linalg.norm(self._factor(full), axis=1)
        return ends, jnp.sqrt(own + squares(full["cross"]))
