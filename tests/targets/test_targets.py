"""Targets of PyMC models: the layout, data that change, what is kept between fits, odd names and
shapes.
"""

import gc
import weakref

import jax
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import zoo

import vi
from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.batches.setting import GraphSetting
from vi.targets.model.graph import LIFTED_BYTES
from vi.training import runner_for

DOUBLE = np.dtype("float64")
BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
# Both sides are sums of the same terms by the same code, at most in another order.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def regression(rows, seed=0):
    rng = np.random.default_rng(seed)
    with pm.Model(coords={"row": range(rows), "predictor": ["a", "b"]}) as model:
        x = pm.Data("x", rng.normal(size=(rows, 2)), dims=("row", "predictor"))
        y = pm.Data("y_data", rng.normal(size=rows), dims="row")
        beta = pm.Normal("beta", 0.0, 1.0, dims="predictor")
        sigma = pm.HalfNormal("sigma", 1.0)
        mu = pm.Deterministic("mu", (x * beta).sum(axis=1), dims="row")
        pm.Normal("y", mu, sigma, observed=y, dims="row")
    return model


def exchange(model, other):
    """Give a regression the data of another one."""
    values = {name: other[name].get_value() for name in ("x", "y_data")}
    pm.set_data(values, model=model, coords={"row": other.coords["row"]})


# ---- the layout ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_slices_tile_the_flat_vector():
    for name in ("many_shapes", "chained", "lkj_cholesky_cov", "nested", "dims_hierarchy"):
        model = next(entry for entry in zoo.entries() if entry.name == name).build()
        layout = from_pymc(model, backend="jax").layout
        assert [slot.start for slot in layout] == [0, *[slot.stop for slot in layout][:-1]]
        assert all(slot.size == np.prod(slot.shape, dtype=int) for slot in layout)
        assert layout.dim == sum(value.size for value in model.initial_point().values())
        assert layout.names == tuple(variable.name for variable in model.free_RVs)
        point = model.initial_point()
        flat = layout.flatten(point, DOUBLE)
        for shape in ((), (4,), (2, 3)):  # one vector or many
            for key, value in layout.unflatten(np.broadcast_to(flat, (*shape, layout.dim))).items():
                np.testing.assert_array_equal(
                    value, np.broadcast_to(point[key], (*shape, *point[key].shape))
                )


def test_slots_say_what_the_model_says():
    with pm.Model(coords={"row": range(3), "kind": list("ab")}) as model:
        pm.Normal("plain")
        pm.HalfNormal("scale", dims="row")
        pm.Dirichlet("weights", np.ones(4))
        pm.Normal("grid", dims=("row", "kind"))
    layout = from_pymc(model, backend="jax").layout
    assert [slot.transform for slot in layout] == [None, "log", "simplex", None]
    assert [slot.value_name for slot in layout] == [
        "plain",
        "scale_log__",
        "weights_simplex__",
        "grid",
    ]
    assert [slot.shape for slot in layout] == [(), (3,), (3,), (3, 2)]
    assert [slot.constrained_shape for slot in layout] == [(), (3,), (4,), (3, 2)]
    assert [slot.dims for slot in layout] == [(), ("row",), (), ("row", "kind")]
    assert [layout.label(i) for i in (0, 3, 4, 12)] == [
        "plain",
        "scale[2]",
        "weights[0]",
        "grid[2, b]",
    ]
    assert layout["scale_log__"] is layout["scale"]
    assert layout.describe(np.arange(13), limit=2) == "plain, scale[0] and 11 more"
    with pytest.raises(IndexError, match="length 13"):
        layout.label(13)
    with pytest.raises(
        KeyError, match="'size' is not a variable of the model; it has plain, scale, weights, grid"
    ):
        layout["size"]


# ---- data ----------------------------------------------------------------------------------------


@pytest.mark.slow
@BACKENDS
def test_new_values_of_the_same_shape_need_no_compilation(backend, rng):
    model, other = regression(30), regression(30, seed=1)
    first = vi.fit(
        50, model=model, method="advi", backend=backend, random_seed=1, progressbar=False
    )
    target = first.target(training=True)
    runner = runner_for(target, first.record.algorithm)
    compiled = [part for part in vars(runner).values() if hasattr(part, "_cache_size")]
    assert compiled, "the runner holds its jitted functions as attributes"
    sizes = [function._cache_size() for function in compiled]
    exchange(model, other)
    second = vi.fit(
        50, model=model, method="advi", backend=backend, random_seed=1, progressbar=False
    )
    assert second.target(training=True) is target
    assert runner_for(target, second.record.algorithm) is runner
    assert [function._cache_size() for function in compiled] == sizes
    fresh = vi.fit(
        50, model=other, method="advi", backend=backend, random_seed=1, progressbar=False
    )
    np.testing.assert_array_equal(second.hist, fresh.hist)  # the same code on the same numbers
    assert not np.allclose(first.hist, second.hist)
    points = rng.normal(size=(3, target.dim))
    expected = from_pymc(other, backend=backend)
    np.testing.assert_allclose(
        target.constrain(points)["mu"], expected.constrain(points)["mu"], **CLOSE
    )


@pytest.mark.few(1)
@BACKENDS
def test_new_length_of_the_data(backend, rng):
    model, other = regression(30), regression(47, seed=1)
    points = rng.normal(size=(3, 3))
    from_pymc(model, backend=backend).log_prob(points)
    exchange(model, other)
    target, expected = from_pymc(model, backend=backend), from_pymc(other, backend=backend)
    np.testing.assert_allclose(target.log_prob(points), expected.log_prob(points), **CLOSE)
    assert target.constrain(points)["mu"].shape == (3, 47)


def test_length_of_a_dim_in_the_density(rng):
    """The length is part of the compiled code: a changed one builds it anew, and the value
    follows the formula.
    """
    model = next(entry for entry in zoo.entries() if entry.name == "length_of_dim").build()
    target = from_pymc(model, backend="jax")
    assert not target.graph.stale()
    y = rng.normal(size=33)
    pm.set_data({"y_data": y}, model=model, coords={"row": range(33)})
    assert target.graph.stale()
    after = from_pymc(model, backend="jax")
    assert after is not target
    mu = 0.7
    expected = (
        -(mu**2) / 8
        - np.log(2)
        - 0.1 * 33 * mu**2
        - ((y - mu) ** 2).sum() / 2
        - 34 * np.log(2 * np.pi) / 2
    )
    # PyTensor folds logs of small integer constants in float32: 1e-9 was measured.
    np.testing.assert_allclose(after.log_prob(np.array([mu])), expected, rtol=1e-8)


@pytest.mark.few(1)
@pytest.mark.parametrize("by_dims", [True, False])
@pytest.mark.slow
def test_a_latent_that_follows_the_data(by_dims):
    """Its fit cannot go on when the data get longer, and says so; a new fit can start."""
    with pm.Model(coords={"row": range(8)}) as model:
        data = pm.Data("data", np.ones(8), dims="row")
        x = pm.Normal("x", **({"dims": "row"} if by_dims else {"shape": data.shape[0]}))
        pm.Normal("y", x, 1.0, observed=data)
    approx = vi.fit(5, model=model, method="advi", backend="jax", random_seed=1, progressbar=False)
    pm.set_data({"data": np.ones(11)}, model=model, coords={"row": range(11)})
    assert from_pymc(model, backend="jax").dim == 11
    for go_on in (lambda: approx.refine(5, progressbar=False), lambda: approx.sample(3)):
        with pytest.raises(
            ValueError, match=r"x has shape \(11,\) now, it had shape \(8,\).*Start a new fit"
        ):
            go_on()
    assert (
        vi.fit(5, model=model, method="advi", backend="jax", random_seed=1, progressbar=False).ndim
        == 11
    )


def test_large_constants_are_arguments(rng):
    x = rng.normal(size=(500, 4))
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 1.0, shape=4)
        pm.Normal("y", x @ beta, 1.0, observed=x.sum(axis=1))
    plain = GraphSetting(training=False, rewrite=False)
    target = from_pymc(model, backend="jax", setting=plain)
    lifted = sorted(shared.get_value().nbytes for shared in target.graph.shared)
    assert lifted[-2:] == [500 * 8, 500 * 4 * 8]
    with precision(DOUBLE):
        traced = jax.make_jaxpr(target.value_and_score)(np.zeros((1, 4)), target.batch())
    assert all(np.asarray(constant).nbytes < LIFTED_BYTES for constant in traced.consts)


# ---- what is kept, and how long ------------------------------------------------------------------


@BACKENDS
def test_a_model_that_grows_is_built_anew(backend, rng):
    with pm.Model() as model:
        x = pm.Normal("x", shape=2)
    before = from_pymc(model, backend=backend)
    assert from_pymc(model, backend=backend) is before
    with model:
        pm.Potential("pull", -3.0 * pt.sum(x**2))
    points = rng.normal(size=(3, 2))
    change = from_pymc(model, backend=backend).log_prob(points) - before.log_prob(points)
    np.testing.assert_allclose(change, -3.0 * (points**2).sum(axis=1), **CLOSE)
    with model:
        pm.Deterministic("twice", 2.0 * x)
    np.testing.assert_allclose(
        from_pymc(model, backend=backend).constrain(points)["twice"], 2.0 * points, **CLOSE
    )


@pytest.mark.slow
@BACKENDS
def test_targets_go_with_their_model(backend):
    model = regression(8)
    approx = vi.fit(
        5, model=model, method="advi", backend=backend, random_seed=1, progressbar=False
    )
    approx.sample(3)
    gone = [weakref.ref(model), weakref.ref(approx.target())]
    del approx, model
    gc.collect()
    gc.collect()  # the model goes first, with it the cache's entry, then the target
    assert [reference() for reference in gone] == [None, None]


@pytest.mark.slow
@BACKENDS
def test_replacements(backend, rng):
    model, other = regression(20), regression(20, seed=1)
    replace = {model[name]: pytensor.shared(other[name].get_value()) for name in ("x", "y_data")}
    target = from_pymc(model, backend=backend, more_replacements=replace)
    assert from_pymc(model, backend=backend, more_replacements=replace) is target
    points = rng.normal(size=(2, 3))
    np.testing.assert_allclose(
        target.log_prob(points), from_pymc(other, backend=backend).log_prob(points), **CLOSE
    )
    plain = from_pymc(model, backend=backend)
    assert plain is not target
    assert not np.allclose(plain.log_prob(points), target.log_prob(points))


@pytest.mark.slow
def test_two_models_side_by_side(rng):
    models = [regression(20, seed=seed) for seed in (0, 1)]
    points = rng.normal(size=(3, 3))
    alone = [
        from_pymc(regression(20, seed=seed), backend="jax").log_prob(points) for seed in (0, 1)
    ]
    first, second = (from_pymc(model, backend="jax") for model in models)
    for _ in range(2):
        np.testing.assert_array_equal(first.log_prob(points), alone[0])
        np.testing.assert_array_equal(second.log_prob(points), alone[1])
    assert not np.allclose(*alone)


# ---- models as people write them -----------------------------------------------------------------


@pytest.mark.slow
def test_odd_names_and_coords(rng):
    y = rng.normal(size=(4, 3))
    y[1, 2] = np.nan
    coords = {
        "day": pd.date_range("2020-01-01", periods=4),
        "kind": ["a b", "c", "d::e"],
        "mixed": [None, 1.0],
    }
    with pm.Model(name="outer", coords=coords) as model, pm.Model(name="in ner"):
        mu = pm.Normal("µ of y", dims="kind")
        pm.Normal("none at all", shape=(0, 2))
        pm.Normal("long" * 100, dims="mixed")
        pm.Normal("y", mu, 1.0, observed=y, dims=("day", "kind"))
    approx = vi.fit(5, model=model, method="advi", random_seed=1, progressbar=False)
    posterior = approx.sample(6, random_seed=1)["posterior"]
    assert posterior["outer::in ner::µ of y"].dims[2:] == ("kind",)
    assert posterior["outer::in ner::y"].shape == (1, 6, 4, 3)
    assert posterior["outer::in ner::none at all"].shape == (1, 6, 0, 2)
    np.testing.assert_array_equal(posterior["day"], coords["day"])
    seen = np.isfinite(y)
    np.testing.assert_array_equal(
        posterior["outer::in ner::y"].values[0, :, seen], np.repeat(y[seen][:, None], 6, 1)
    )


def test_scalar_and_integer_data(rng):
    with pm.Model() as model:
        scale, count = pm.Data("scale", 2.0), pm.Data("count", 3)
        x = pm.Normal("x", 0.0, scale, shape=3)
        pm.Potential("pull", -count * pt.sum(x))
    points = rng.normal(size=(4, 3))
    normal = -np.log(2 * np.pi) / 2 - np.log(2.0) - (points / 2.0) ** 2 / 2
    np.testing.assert_allclose(
        from_pymc(model, backend="jax").log_prob(points),
        (normal - 3 * points).sum(axis=1),
        rtol=1e-8,
        atol=1e-8,
    )
    pm.set_data({"scale": 1.0, "count": 5}, model=model)
    normal = -np.log(2 * np.pi) / 2 - points**2 / 2
    np.testing.assert_allclose(
        from_pymc(model, backend="jax").log_prob(points),
        (normal - 5 * points).sum(axis=1),
        rtol=1e-8,
        atol=1e-8,
    )
