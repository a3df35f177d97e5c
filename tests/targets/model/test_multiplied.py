"""What a model multiplies its variables with, found in its graph."""

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor import wrap_py

from vi.targets.model.conditionals import scaled_by_others
from vi.targets.model.multiplied import factors_in

GROUP = np.array([0, 0, 1, 2, 2, 3])


def effects(build):
    """A model whose effects are made of ``offset`` (4) and ``scale``, in a way of its own."""
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        offset = pm.Normal("offset", 0.0, 1.0, shape=4)
        pm.Normal("y", build(offset, scale), 1.0, observed=np.zeros(6))
    return model


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda offset, scale: (scale * offset)[GROUP], "s"),
        (lambda offset, scale: offset[GROUP] * scale, "s"),
        (lambda offset, scale: 3.0 + (offset * 2.0 * scale)[GROUP], "s"),
        (lambda offset, scale: (offset / scale)[GROUP], "1/s"),
        (lambda offset, scale: (scale * (scale * offset))[GROUP], "ss"),
        (lambda offset, scale: pm.Deterministic("effect", scale * offset)[GROUP], "s"),
        (lambda offset, scale: (offset * scale**2)[:, None].sum(1)[GROUP], "ss"),
    ],
    ids=["whole", "indexed", "constants", "divided", "twice", "deterministic", "power"],
)
def test_the_factor_of_an_offset(build, expected):
    model = effects(build)
    factor = factors_in(model)(model["offset"])
    value = factor.eval({model["scale"]: 3.0})
    power = {"s": 1, "1/s": -1, "ss": 2}[expected]
    np.testing.assert_allclose(value, 3.0**power, rtol=1e-12)
    found = scaled_by_others(model)
    assert found.names == ("offset",)
    with jax.enable_x64(True):
        given = found.given(0, jnp.array([np.log(3.0), 0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_allclose(given.scale, np.full((4, 1), 3.0**-power), rtol=1e-12)
    np.testing.assert_array_equal(given.location, np.zeros((4, 1)))


@pytest.mark.parametrize(
    "build",
    [
        lambda offset, scale: offset[GROUP],
        lambda offset, scale: (offset * 2.0)[GROUP],
        lambda offset, scale: (scale / offset)[GROUP],
        lambda offset, scale: (offset * offset)[GROUP],
        lambda offset, scale: (offset * pm.math.exp(offset) * scale)[GROUP],
        lambda offset, scale: (scale * offset)[GROUP] + offset[GROUP],
        lambda offset, scale: (scale + offset)[GROUP],
        lambda offset, scale: offset[GROUP] * pt.stack([scale] * 6) ** np.arange(6),
        lambda offset, scale: (offset * pm.math.log(scale))[GROUP],
        lambda offset, scale: (offset[None, :] * (scale + np.ones((3, 1)))).sum(0)[GROUP],
    ],
    ids=[
        "none",
        "constant",
        "divides",
        "square",
        "itself",
        "twice",
        "sum",
        "per row",
        "sign",
        "spread",
    ],
)
def test_what_has_no_factor(build):
    model = effects(build)
    found = scaled_by_others(model)
    assert found is None


def test_a_factor_for_each_entry():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        own = pm.HalfNormal("own", 1.0, shape=3)
        z = pm.Normal("z", 0.0, 1.0, shape=3)
        pm.Normal("y", (z * tau * own).sum(), 1.0, observed=0.0)
    found = scaled_by_others(model)
    assert found.names == ("z",)  # tau and own are multiplied too, and are fitted by logarithms
    values = jnp.log(jnp.array([2.0, 1.0, 3.0, 5.0]))
    given = found.given(0, jnp.concatenate([values, jnp.zeros(3)]))
    np.testing.assert_allclose(given.scale.ravel(), 1 / np.array([2.0, 6.0, 10.0]), rtol=1e-6)


def test_what_a_variable_is_spread_over_is_no_factor():
    """Scores times loadings: the product has a row for each score and a column for each loading."""
    with pm.Model() as model:
        loading = pm.HalfNormal("loading", 1.0, shape=(1, 6))
        score = pm.Normal("score", 0.0, 1.0, shape=(8, 1))
        pm.Normal("y", score * loading, 1.0, observed=np.zeros((8, 6)))
    assert scaled_by_others(model) is None


def test_a_hierarchy_and_an_offset_in_one_model():
    """The model's own location and scale, and a factor that depends on that variable."""
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        effect = pm.Normal("effect", 0.0, scale, shape=2)
        offset = pm.Normal("offset", 0.0, 1.0, shape=2)
        pm.Normal("y", offset * pm.math.exp(effect), 1.0, observed=np.zeros(2))
    found = scaled_by_others(model)
    assert found.names == ("effect", "offset")


def test_factors_of_each_other_are_none():
    """Each changes its sign."""
    with pm.Model() as model:
        a, b = (pm.Normal(name, 0.0, 1.0, shape=2) for name in "ab")
        pm.Normal("y", a * b, 1.0, observed=np.zeros(2))
    factor = factors_in(model)
    assert factor(model["a"]) is model["b"]
    assert factor(model["b"]) is model["a"]
    assert scaled_by_others(model) is None


def test_the_coordinate_of_an_offset_is_its_effect():
    """With a share of 0: the effect, in units of the scale at the centre."""
    model = effects(lambda offset, scale: (scale * offset)[GROUP])
    found = scaled_by_others(model)
    with jax.enable_x64(True):
        u = np.array([0.3, 1.0, -1.0, 0.5, 2.0])
        z, log_det = found.to_model(jnp.array(u), jnp.zeros(4), jnp.zeros(5))
        moved, slope = np.asarray(z), float(log_det)
    np.testing.assert_allclose(moved[1:], u[1:] * np.exp(-0.3), rtol=1e-12)
    np.testing.assert_allclose(slope, -4 * 0.3, rtol=1e-12)


def test_what_jax_cannot_compute_is_left_and_others_stay():
    @wrap_py(itypes=[pt.dscalar], otypes=[pt.dscalar])
    def doubled(x):
        return np.asarray(2.0 * x)

    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        pm.Normal("a", 0.0, doubled(scale), shape=2)
        pm.Normal("b", 0.0, scale, shape=2)
    assert scaled_by_others(model).names == ("b",)


def test_a_single_entry_is_no_hierarchy():
    with pm.Model() as model:
        first = pm.Normal("first", 0.0, 1.0)
        pm.Normal("y", first * pm.HalfNormal("scale", 1.0), 1.0, observed=0.0)
    assert scaled_by_others(model) is None
