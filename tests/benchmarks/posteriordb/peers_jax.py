"""NumPyro's guides and BlackJAX's Pathfinder, on the log density that PyMC exports to JAX.

The density is that of the unconstrained vector, in float64. NumPyro sees it as a factor over one
vector with an improper uniform prior, so that guides act where they would in a model of its own;
a run is 10,000 steps of Adam at 0.01, compiled as one loop. Starts are the libraries' own: uniform
in (-2, 2), which is Pathfinder's in the paper as well. Compilation is a call of its own (``lower``
and ``compile``), so that the seconds without it are those of the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import blackjax.vi.pathfinder as pathfinder
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pymc as pm
import xarray as xr
from numpyro.infer import SVI, Trace_ELBO, autoguide
from pymc.sampling.jax import get_jaxified_graph
from systems import DRAWS, Fitted, System, seconds_of

__all__ = ["FITS"]

STEPS = 10_000
RATE = 0.01
TRIES = 100
"""Starts of Pathfinder of which the first with a finite density is taken; NumPyro tries as many."""

jax.config.update("jax_enable_x64", True)


class Density:
    """The log density of a model at a flat unconstrained vector."""

    def __init__(self, model: pm.Model) -> None:
        self._model = model
        self._log_p = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])
        point = model.initial_point()
        shapes = [np.shape(point[value.name]) for value in model.value_vars]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        self._places = list(zip([0, *ends[:-1]], ends, shapes, strict=True))
        self.dim = int(ends[-1])

    def _values(self, z: Any) -> list[Any]:
        return [z[first:last].reshape(shape) for first, last, shape in self._places]

    def __call__(self, z: Any) -> Any:
        return self._log_p(*self._values(z))[0]

    def constrained(self, points: Any) -> xr.Dataset:
        """Variables and deterministics at points ``(S, D)``."""
        wanted = self._model.unobserved_value_vars
        function = get_jaxified_graph(inputs=self._model.value_vars, outputs=wanted)
        parts = jax.jit(jax.vmap(lambda z: function(*self._values(z))))(points)
        variables = {}
        for variable, part in zip(wanted, parts, strict=True):
            axes = [f"{variable.name}_{i}" for i in range(part.ndim - 1)]
            variables[variable.name] = (["chain", "draw", *axes], np.asarray(part)[None])
        return xr.Dataset(variables)


def _compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    return jax.jit(function).lower(*arguments).compile()


def _numpyro(guide_of: Callable[..., Any], model: pm.Model, seed: int) -> Fitted:
    def prepare() -> tuple[Any, ...]:
        density = Density(model)

        def program() -> None:
            flat = dist.ImproperUniform(dist.constraints.real_vector, (), (density.dim,))
            numpyro.factor("log_p", density(numpyro.sample("z", flat)))

        guide = guide_of(program)
        svi = SVI(program, guide, numpyro.optim.Adam(RATE), Trace_ELBO())
        state = svi.init(jax.random.PRNGKey(seed))

        def run(state: Any) -> Any:
            return jax.lax.scan(lambda s, _: svi.update(s), state, length=STEPS)

        return density, guide, svi, state, _compiled(run, state)

    (density, guide, svi, state, run), compiling = seconds_of(prepare)
    (state, _), running = seconds_of(lambda: jax.block_until_ready(run(state)))

    def draw() -> xr.Dataset:
        key = jax.random.PRNGKey(seed + 1)
        found = guide.sample_posterior(key, svi.get_params(state), sample_shape=(DRAWS,))
        return density.constrained(found["z"])

    return Fitted(draw, compiling.plus(running), running, gradients=STEPS)


def _pathfinder(model: pm.Model, seed: int) -> Fitted:
    key = jax.random.PRNGKey(seed)

    def prepare() -> tuple[Any, ...]:
        density = Density(model)
        starts = jax.random.uniform(key, (TRIES, density.dim), minval=-2.0, maxval=2.0)
        finite = jnp.isfinite(jax.jit(jax.vmap(density))(starts))
        start = starts[jnp.argmax(finite)]

        def run(key: Any, start: Any) -> Any:
            return pathfinder.approximate(key, density, start)[0]

        return density, start, _compiled(run, key, start)

    (density, start, run), compiling = seconds_of(prepare)
    state, running = seconds_of(lambda: jax.block_until_ready(run(key, start)))

    def draw() -> xr.Dataset:
        points, _ = pathfinder.sample(jax.random.PRNGKey(seed + 1), state, DRAWS)
        return density.constrained(jnp.asarray(points))

    return Fitted(draw, compiling.plus(running), running)


FITS: dict[str, System] = {
    "NumPyro AutoNormal": partial(_numpyro, autoguide.AutoNormal),
    "NumPyro AutoMultivariateNormal": partial(_numpyro, autoguide.AutoMultivariateNormal),
    "NumPyro AutoIAFNormal": partial(_numpyro, autoguide.AutoIAFNormal),
    "BlackJAX pathfinder": _pathfinder,
}
