"""The parameters of a NumPyro model that have no prior: of which point estimates are fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.models.numpyro_transform import import_numpyro

__all__ = ["parameters_of"]


def parameters_of(
    model: Callable[..., Any], args: Any, kwargs: Any, sites: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Starts and constraints of the ``numpyro.param`` sites on which the density depends.

    Those of ``random_flax_module`` and its kind lend their shapes to latent sites, which take their
    place, and are left out.

    Parameters
    ----------
    model : callable
        The model.
    args, kwargs
        Its arguments.
    sites : mapping
        Its sites, at the start.

    Raises
    ------
    ValueError
        If a network has states that change while it learns (batch normalisation).
    """
    numpyro = import_numpyro()
    parameters = {n: site["value"] for n, site in sites.items() if site["type"] == "param"}
    parameters = {n: value for n, value in parameters.items() if jax.tree.leaves(value)}
    mutable = [n for n, site in sites.items() if site["type"] == "mutable"]
    if mutable:
        raise ValueError(
            f"{', '.join(mutable)} changes from step to step (mutable=, the statistics of a batch "
            "normalisation), and a log density is a function of its arguments alone. Use a network "
            "without it (layer normalisation has no state)."
        )
    if not parameters:
        return {}, {}
    latent = {
        n: site["value"]
        for n, site in sites.items()
        if site["type"] == "sample" and not site["is_observed"]
    }
    noise = np.random.default_rng(0)

    def moved(leaf: Any) -> Any:  # at the value itself a gradient may vanish by chance
        return jnp.asarray(leaf + noise.uniform(0.1, 1.0, np.shape(leaf)), jnp.result_type(float))

    def moved_within(name: str, value: Any) -> Any:
        """Another value that the constraint allows."""
        constraint = sites[name]["kwargs"].get("constraint")
        if constraint is None:
            return jax.tree.map(moved, value)
        transform = numpyro.distributions.transforms.biject_to(constraint)
        floating = jax.tree.map(_floating, value)
        return transform(jax.tree.map(moved, transform.inv(floating)))

    elsewhere = {name: moved_within(name, value) for name, value in parameters.items()}

    def density(values: Any) -> Any:
        seeded = numpyro.handlers.seed(model, 0)
        return numpyro.infer.util.log_density(seeded, args, kwargs, latent | values)[0]

    slopes = jax.grad(density)(elsewhere)
    used = [
        name
        for name, slope in slopes.items()
        if any(np.any(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(slope))
    ]
    constraints = {
        name: sites[name]["kwargs"]["constraint"]
        for name in used
        if "constraint" in sites[name]["kwargs"]
    }
    starts = {name: jax.tree.map(_floating, parameters[name]) for name in used}
    return starts, constraints


def _floating(leaf: Any) -> Any:
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
