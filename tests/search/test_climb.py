"""A saddle is left, from whichever side the search came; what has no mode is named."""

from __future__ import annotations

import logging

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
PRECISIONS = pytest.mark.parametrize("dtype", ["float64", "float32"])


def density(function, dim=2, dtype="float64"):
    return vi.targets.from_function(function, np.zeros(dim, dtype))


def two_modes():
    """A mixture whose initial point is the saddle in its middle."""
    with pm.Model() as model:
        pm.NormalMixture("x", [0.5, 0.5], [-3.0, 3.0], 1.0)
    return model


def mode_of_two():
    """Fixed point of x = 3 tanh(3 x): where the mixture's gradient is zero."""
    x = 3.0
    for _ in range(20):
        x = 3.0 * np.tanh(3.0 * x)
    return x


@BACKENDS
@PRECISIONS
@pytest.mark.parametrize("start", [None, {"x": 0.0}])
@pytest.mark.few(2)
def test_a_symmetric_mixture_ends_at_a_mode(backend, dtype, start):
    found = vi.find_map(two_modes(), start=start, backend=backend, dtype=dtype, random_seed=1)
    assert found.status.ending == "converged"
    # the search ends within the root of rounding, in nats, whose distance is the root of that
    atol = 2 * float(np.finfo(dtype).eps) ** 0.25
    assert abs(found["x"]) == pytest.approx(mode_of_two(), abs=atol)


@pytest.mark.slow
def test_the_seed_decides_which():
    ends = [float(vi.find_map(two_modes(), random_seed=seed)["x"]) for seed in (0, 1, 2, 3, 1)]
    assert len({np.sign(end) for end in ends}) == 2
    assert ends[1] == ends[4]


def test_a_start_that_was_given_is_not_moved():
    """Nothing is left to climb at the mode: no iteration, and the very point."""
    found = vi.find_map(density(lambda z: -jnp.sum((z - 1.0) ** 2)), start={"x": [1.0, 1.0]})
    assert found.iterations[0] == 0
    np.testing.assert_array_equal(found["x"], 1.0)


@pytest.mark.parametrize("start", [None, {"x": [0.0, 0.0]}])
def test_a_monkey_saddle_has_no_curvature_and_is_left(start):
    """Re z^3 - |z|^4 / 4: all second derivatives are zero in the middle; modes at radius 3."""
    monkey = density(lambda z: z[0] ** 3 - 3 * z[0] * z[1] ** 2 - 0.25 * jnp.sum(z**2) ** 2)
    found = vi.find_map(monkey, start=start, random_seed=1)
    assert found.status.ending == "converged"
    assert found.log_prob == pytest.approx(27 - 81 / 4)
    assert np.hypot(*found["x"]) == pytest.approx(3.0, abs=1e-4)


@pytest.mark.slow
def test_minima_in_many_dimensions_are_left_for_a_mode(caplog):
    """Every coordinate of -(z^2 - 1)^2 starts in its minimum; the modes are the corners."""
    with caplog.at_level(logging.INFO, "vi"):
        found = vi.find_map(
            density(lambda z: -jnp.sum((z**2 - 1) ** 2), 300), start={"x": np.zeros(300)}
        )
    assert found.status.ending == "converged"
    assert "rises to both sides" in caplog.text
    np.testing.assert_allclose(np.abs(found["x"]), 1.0, atol=1e-4)


@pytest.mark.slow
@PRECISIONS
def test_one_direction_among_a_thousand_is_found(dtype):
    """Products with the Hessian find it, though its units are a thousandth of the others'."""
    units = np.ones(1_000, dtype)
    units[700] = 1e3

    def function(z):
        z = z * units
        return -jnp.sum(z**2) + 3 * z[700] ** 2 - z[700] ** 4

    found = vi.find_map(density(function, 1_000, dtype), start={"x": np.zeros(1_000)})
    assert found.status.ending == "converged"
    # 2 z^2 - z^4 is highest at one
    assert abs(found["x"][700]) * 1e3 == pytest.approx(
        1.0, abs=2 * float(np.finfo(dtype).eps) ** 0.25
    )


@BACKENDS
@pytest.mark.slow
def test_a_centred_hierarchy_has_no_mode(backend):
    with pm.Model() as model:
        t = pm.HalfNormal("t", 1.0)
        z = pm.Normal("z", 0.0, t, shape=5)
        pm.Normal("y", z, 1.0, observed=[0.1, -0.2, 0.3, 0.0, 0.2])
    found = vi.find_map(model, jacobian=True, random_seed=1, backend=backend)
    assert found.status.ending == "stopped"
    assert "rises without end as t goes to 0" in found.status.message
    assert not found.converged.any()


def test_separated_classes_have_no_mode():
    """The log likelihood rises to 0 as the slope goes to infinity."""
    x = np.arange(10.0) - 4.5
    with pm.Model() as model:
        slope = pm.Flat("slope")
        pm.Bernoulli("y", logit_p=slope * x, observed=x > 0)
    found = vi.find_map(model, random_seed=1)
    assert found.status.ending == "stopped"
    assert "falls no further along slope" in found.status.message


def test_a_level_direction_is_named():
    found = vi.find_map(density(lambda z: -((z[0] + z[1]) ** 2)), random_seed=1)
    assert "it is the same along x[0], x[1]: there is no one mode." in found.status.message


def test_an_end_of_the_support_can_be_the_mode():
    with pm.Model() as model:
        pm.HalfNormal("s", 1.0)
    found = vi.find_map(model, random_seed=1)
    assert found.status.ending == "converged"
    assert "at the mode, at an end of s" in found.status.message
