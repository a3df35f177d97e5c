"""Normalizing flows by flowjax, behind a location and a scale in the units of the data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import FAMILIES, Family, Noise, Params, inverse_softplus
from vi.foundation.extras import needs
from vi.foundation.numbers import whole
from vi.foundation.precision import precision

__all__ = ["Flow"]

WHITENING_DRAWS = 2_000
"""Draws of the untrained flow that are brought to the mean and scale of the start: their error of
1 / sqrt(2,000), 2 % of the scale, is well below the 0.15 that the contract of ``init`` allows."""

NET_UNIT = 0.05
"""Unit of a step in the parameters inside the flow, of which the default optimiser's first step
is 0.05: networks of unit scale learn at rates of some 1e-3."""


@FAMILIES.register
@dataclass(frozen=True, eq=False)
class Flow(Family):
    r"""A normalizing flow, :math:`z = \mu + \mathrm{softplus}(\rho) \odot T_\theta(e)`.

    :math:`T_\theta(e)` is a draw of a flowjax distribution, in which all lengths are of the order
    of one; ``mu`` and ``rho`` (both ``(D,)``) carry the units of the data. Needs the extra
    ``flows``.

    Parameters
    ----------
    flow : optional
        A flowjax distribution of shape ``(D,)``, or a function ``flow(key, base_dist=...)`` that
        makes one, such as ``functools.partial(flowjax.flows.coupling_flow, invert=False)``.
        ``invert=False`` makes draws quick, which is what fitting needs. By default a masked
        autoregressive flow whose transformer is a rational quadratic spline followed by an affine
        map.
    layers, width, knots : int
        Of the default flow: its layers, the width of its networks, the knots of its splines.

    Raises
    ------
    ImportError
        If flowjax is not installed.
    TypeError, ValueError
        If ``flow`` is none of these, or its shape is not ``(D,)``.

    References
    ----------
    Papamakarios, Nalisnick, Rezende, Mohamed and Lakshminarayanan (2021). Normalizing flows for
    probabilistic modeling and inference. JMLR 22. Durkan, Bekasov, Murray and Papamakarios (2019).
    Neural spline flows. NeurIPS. Ward (2024). FlowJax: distributions and normalizing flows in JAX.
    """

    flow: Any = None
    layers: int = 4
    width: int = 32
    knots: int = 6
    short_name = "flow"
    aliases = ("nf",)
    default_estimator = "monte_carlo"
    default_draws = 8
    exact_moments = False

    def __post_init__(self) -> None:
        _flowjax()
        for name in ("layers", "width", "knots"):
            object.__setattr__(self, name, whole(f"Flow({name}", getattr(self, name), 1))
        if self.flow is not None and not (_is_distribution(self.flow) or callable(self.flow)):
            raise TypeError(
                f"flow={self.flow!r}: expected a flowjax distribution, or a function of "
                "(key, base_dist=...) that makes one "
                "(functools.partial(flowjax.flows.coupling_flow, invert=False))."
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flow) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return type(self), id(self.flow), self.layers, self.width, self.knots

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        weights, draws = jax.random.split(key)
        inner = _arrays(self._build(weights, mean.size), mean.dtype)
        start = {"mu": jnp.zeros_like(mean), "rho": inverse_softplus(jnp.ones_like(std))} | inner
        centre, width = _raw_moments(self, start, jax.random.split(draws, WHITENING_DRAWS))
        scale = std / width
        return {"mu": mean - scale * centre, "rho": inverse_softplus(scale)} | inner

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return key

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        inner: jax.Array = self._distribution(params).sample(noise)
        return params["mu"] + jax.nn.softplus(params["rho"]) * inner

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        inner, log_q = self._distribution(params).sample_and_log_prob(noise)
        scale = jax.nn.softplus(params["rho"])
        return params["mu"] + scale * inner, log_q - jnp.sum(jnp.log(scale))

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        scale = jax.nn.softplus(params["rho"])
        log_q: jax.Array = self._distribution(params).log_prob((z - params["mu"]) / scale)
        return log_q - jnp.sum(jnp.log(scale))

    def units(self, params: Params) -> Params:
        scale = jax.nn.softplus(params["rho"])
        inner = {
            name: jnp.full_like(value, NET_UNIT)
            for name, value in params.items()
            if name not in ("mu", "rho")
        }
        return {"mu": scale, "rho": scale / jax.nn.sigmoid(params["rho"])} | inner

    def _distribution(self, params: Params) -> Any:
        """The flowjax distribution with the parameters put in."""
        import equinox as eqx

        structure, rest = _skeleton(self, params["mu"].size, str(params["mu"].dtype))
        leaves = [params[name] for name in sorted(params) if name not in ("mu", "rho")]
        return eqx.combine(jax.tree.unflatten(structure, leaves), rest)

    def _build(self, key: jax.Array, dim: int) -> Any:
        flowjax = _flowjax()
        if _is_distribution(self.flow):
            made = self.flow
        else:
            base = flowjax.distributions.StandardNormal((dim,))
            try:
                made = (self.flow or self._default)(key, base_dist=base)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"flow={self.flow!r} cannot be called with (key, base_dist=...): {error}"
                ) from error
        if not _is_distribution(made) or made.shape != (dim,) or made.cond_shape is not None:
            what = (
                f"shape {made.shape}, cond_shape {made.cond_shape}"
                if _is_distribution(made)
                else repr(made)
            )
            raise ValueError(
                f"The flow must be an unconditional flowjax distribution of shape ({dim},), "
                f"got {what}."
            )
        return made

    def _default(self, key: jax.Array, *, base_dist: Any) -> Any:
        flowjax = _flowjax()
        spline = flowjax.bijections.RationalQuadraticSpline(knots=self.knots, interval=4)
        transformer = flowjax.bijections.Chain([spline, flowjax.bijections.Affine()])
        return flowjax.flows.masked_autoregressive_flow(
            key,
            base_dist=base_dist,
            transformer=transformer,
            flow_layers=self.layers,
            nn_width=self.width,
            nn_activation=jnp.tanh,
            invert=False,
        )


@functools.partial(jax.jit, static_argnums=0)
def _raw_moments(family: Flow, params: Params, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of draws of a flow that has not been moved to its start."""
    points = jax.vmap(lambda key: family.draw(params, key))(keys)
    return jnp.mean(points, axis=0), jnp.std(points, axis=0)


def _flowjax() -> Any:
    for part in ("bijections", "distributions", "flows"):  # flowjax does not import all of them
        needs(f"flowjax.{part}", "Normalizing flows")
    return needs("flowjax", "Normalizing flows")


def _is_distribution(item: Any) -> bool:
    return isinstance(item, _flowjax().distributions.AbstractDistribution)


def _partition(distribution: Any) -> tuple[Any, Any]:
    """What is trained, and the rest."""
    import equinox as eqx
    import paramax

    frozen: Callable[[Any], bool] = lambda leaf: isinstance(leaf, paramax.NonTrainable)  # noqa: E731
    return eqx.partition(distribution, eqx.is_inexact_array, is_leaf=frozen)  # type: ignore[no-any-return]


def _arrays(distribution: Any, dtype: Any) -> Params:
    """The trained arrays by name, in the order of the tree."""
    leaves = jax.tree.leaves(_partition(distribution)[0])
    return {f"net{i:04d}": jnp.asarray(leaf, dtype) for i, leaf in enumerate(leaves)}


@functools.cache
def _skeleton(family: Flow, dim: int, dtype: str) -> tuple[Any, Any]:
    """The tree of a flow without its trained arrays.

    Permutations and masks are those of one fixed key, so that a file need not hold them. It is made
    in a thread of its own, where no JAX transformation is going on: flowjax checks values while
    building.
    """

    def make() -> tuple[Any, Any]:
        with precision(np.dtype(dtype)):
            trained, rest = _partition(family._build(jax.random.key(0), dim))
            kept = jax.tree.map(
                lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, rest
            )
        return jax.tree.structure(trained), kept

    with ThreadPoolExecutor(max_workers=1) as alone:
        return alone.submit(make).result()
