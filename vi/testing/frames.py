"""The check of a family's units and frame: what steps are measured in."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from vi.families.family import Family, Params

__all__ = ["check_frame", "check_units"]

SHORT = 1e-6
"""A step so short that its change is the derivative, to about as many digits."""


def check_units(family: Family, params: Params) -> None:
    """Units are positive and shaped like the parameters."""
    units = family.units(params)
    assert units.keys() == params.keys(), "units must have the keys of the parameters"
    for name in params:
        same = jnp.shape(units[name]) == params[name].shape
        assert same, f"units[{name!r}] must have the shape of the parameter"
        assert bool(jnp.all(units[name] > 0)), f"units[{name!r}] must be positive"


def check_frame(family: Family, params: Params, seed: int) -> None:
    r"""The two directions of a frame belong together.

    For every gradient ``g`` and short step ``h``, :math:`g \cdot \mathrm{change}(h) =
    \mathrm{gradient}(g) \cdot h`: both are the first-order change of a function.
    """
    frame = family.frame(params)
    if frame is None:
        return
    rng = np.random.default_rng(seed)
    gradient = {name: jnp.asarray(rng.normal(size=value.shape)) for name, value in params.items()}
    inside = frame.gradient(gradient)
    unknown = inside.keys() - params.keys()
    assert not unknown, f"frame.gradient must return parameters; got {', '.join(sorted(unknown))}"
    step = {
        name: jnp.asarray(SHORT * rng.normal(size=value.shape)) for name, value in inside.items()
    }
    change = frame.change(step)
    assert change.keys() == inside.keys(), "frame.change must return what frame.gradient returns"
    for name, value in change.items():
        same = jnp.shape(value) == params[name].shape
        assert same, f"frame.change must return {name!r} in the shape of the parameter"
    outside = sum(float(jnp.sum(gradient[name] * change[name])) for name in change)
    within = sum(float(jnp.sum(inside[name] * step[name])) for name in change)
    size = sum(float(jnp.linalg.norm(inside[n]) * jnp.linalg.norm(step[n])) for n in change)
    assert abs(outside - within) <= 1e-4 * size, (
        "frame.gradient and frame.change disagree: a short step changes a function by "
        f"{outside:.6g} through one, by {within:.6g} through the other"
    )
