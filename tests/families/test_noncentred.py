"""The non-centred family: its map, its Jacobian, and the two parametrisations at its ends."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_conditionals import hierarchy

from vi.families import (
    Flow,
    FullRank,
    LowRank,
    MeanField,
    Noncentred,
    Part,
    Particles,
    PerRow,
    Point,
    Product,
)


def moved(family, dim, centring):
    params = family.init(
        jnp.linspace(0.5, 1.5, dim), jnp.linspace(0.5, 1.0, dim), jax.random.key(0)
    )
    return params | {"centring": jnp.full_like(params["centring"], centring)}


@pytest.mark.parametrize(
    "family", [MeanField(), FullRank(), LowRank(2)], ids=lambda f: f.short_name
)
def test_the_map_has_an_inverse_and_its_jacobian(family):
    """Against the determinant that differentiation gives; rounding of float32 is 1e-7."""
    own = Noncentred(hierarchy(6), family)
    params = moved(own, 6, 0.4)
    u = jnp.array([1.1, -0.3, 0.7, 2.0, -1.0, 0.4])
    z, log_det = own.placed(params, u)
    jacobian = jax.jacfwd(lambda u: own.placed(params, u)[0])(u)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(jacobian)[1], atol=1e-5)
    inner = {name: value for name, value in params.items() if name != "centring"}
    np.testing.assert_allclose(
        own.log_prob(params, z), family.log_prob(inner, u) - log_det, rtol=1e-5
    )


def test_its_ends_are_the_centred_and_the_non_centred_parametrisation():
    own = Noncentred(hierarchy(6), MeanField())
    u = jnp.array([1.1, -0.3, 0.7, 2.0, -1.0, 0.4])
    z, log_det = own.placed(moved(own, 6, 40.0), u)
    np.testing.assert_allclose(z, u, rtol=1e-6)
    assert abs(float(log_det)) < 1e-6
    params = moved(own, 6, -40.0)
    centre = params["mu"]
    z, _ = own.placed(params, u)
    for number, variable in enumerate(hierarchy(6).variables):
        at = slice(variable.start, variable.start + variable.size)
        here, there = (hierarchy(6).given(number, point) for point in (u, centre))
        noise = (u - centre)[at] * here.scale[0] / there.scale[0]
        # what is standard at the centre is standard everywhere, around its own location
        step = (centre[at] - there.location[0]) * here.scale[0] / there.scale[0]
        if variable.is_chain:
            own_step = there.carry[0, 1:] * centre[at][:-1]
            step = step.at[1:].add(-own_step * (here.scale / there.scale)[0, 1:])
        expected = here.location[0] + step + noise
        for t in range(1, variable.size):
            expected = expected.at[t].add(here.carry[0, t] * expected[t - 1])
        np.testing.assert_allclose(z[at], expected, rtol=1e-5)


def test_the_centre_stays_where_it_is_for_every_share():
    own = Noncentred(hierarchy(6), MeanField())
    for centring in (-3.0, 0.0, 5.0):
        params = moved(own, 6, centring)
        z, log_det = own.placed(params, params["mu"])
        np.testing.assert_allclose(z, params["mu"], rtol=1e-6)
        assert abs(float(log_det)) < 1e-6


def beside(family):
    """A product of independent normals and a part of that family."""
    return Product((Part("first", MeanField(), ((0, 1),)), Part("others", family, ((1, 3),))))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Noncentred(3), r"what vi\.Noncentred\(model=model\) reads"),
        (lambda: Noncentred(hierarchy(3), "mean_field"), r"give vi\.families\.LowRank\(\)"),
        (lambda: Noncentred(hierarchy(3), Particles(5)), "a density, a width"),
        (lambda: Noncentred(hierarchy(3), Point()), "a density, a width"),
        (lambda: Noncentred(hierarchy(3), Flow()), "a density, a width"),
        (
            lambda: Noncentred(hierarchy(3), Noncentred(hierarchy(3))),
            "and a mean in closed form",
        ),
        # a part of a product is seen too
        (lambda: Noncentred(hierarchy(3), beside(Flow())), "and a mean in closed form"),
        (lambda: Noncentred(hierarchy(3), beside(Point())), "a width in every coordinate"),
        (lambda: Noncentred(hierarchy(3), PerRow(Flow(), 3)), "and a mean in closed form"),
        (lambda: Noncentred(hierarchy(3), PerRow(Point(), 3)), "a width in every coordinate"),
    ],
)
def test_other_settings_are_refused(make, says):
    with pytest.raises(TypeError, match=says):
        make()


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="one of 3 coordinates, not of 5"):
        Noncentred(hierarchy(3)).init(jnp.zeros(5), jnp.ones(5), jax.random.key(0))
    with pytest.raises(ValueError, match=r"parts of the product cover 3 entries.* has 5 here"):
        beside(MeanField()).init(jnp.zeros(5), jnp.ones(5), jax.random.key(0))
