"""``vi.Minibatch``: its tensors, what it refuses, and fits with it and after it."""

from __future__ import annotations

import functools

import arviz as az
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from minibatch_models import BACKENDS, BOTH, B, N, check_unbiased, data, regression

import vi
from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.batches.setting import GraphSetting


def test_rows_stay_together_and_come_once_an_epoch():
    x, labels = np.arange(20.0).reshape(10, 2), np.arange(10)
    a, b = vi.Minibatch(x, labels, batch_size=4)
    assert (a.dtype, b.dtype) == ("float64", "int64")
    rows = []

    both = pytensor.function([], [a, b])
    for _ in range(5):
        left, right = both()
        np.testing.assert_array_equal(left, x[right])
        rows.append(right)
    epochs = np.concatenate(rows).reshape(-1, 10)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(10), (2, 1)))


def test_list_of_sizes():
    array = np.arange(5 * 6 * 30 * 2 * 12).reshape(5, 6, 30, 2, 12)
    batch = vi.Minibatch(array, batch_size=[2, None, 20, Ellipsis, 10])
    value = batch.eval()
    assert value.shape == (2, 6, 20, 2, 10)
    index = np.unravel_index(value, array.shape)
    for axis in range(5):  # every axis has indices of its own
        first = np.moveaxis(index[axis], axis, 0).reshape(value.shape[axis], -1)
        assert np.all(first == first[:, :1])
        assert len(set(first[:, 0])) == value.shape[axis]


def test_equal_seeds_are_equal_rows():
    a = vi.Minibatch(np.arange(30), batch_size=[(5, 3)])
    b = vi.Minibatch(np.arange(30), batch_size=5, random_seed=3)
    c = vi.Minibatch(np.arange(30), batch_size=5, random_seed=4)
    np.testing.assert_array_equal(a.eval(), b.eval())
    assert not np.array_equal(b.eval(), c.eval())


@pytest.mark.slow
def test_data_may_change_without_compiling():
    model = regression()
    _, y = data()
    batch = model.rvs_to_values[model["y"]]
    batch = batch if isinstance(batch, vi.data.MinibatchVariable) else batch.owner.inputs[0]
    fit = functools.partial(vi.fit, 2000, model=model, random_seed=1, progressbar=False)
    first = fit()
    target = first.target(training=True)
    batch.set_value(-y)
    second = fit()
    assert second.target(training=True) is target
    # two independent fits whose means have a noise of some tenths of a posterior sd
    assert np.all(np.abs(second.mean.eval() + first.mean.eval()) < 1.0 * first.std.eval())
    assert batch.shared.get_value()[0] == -y[0]
    batch.set_value(y[1:])
    with pytest.raises(
        ValueError, match=r"different lengths: 'array 0': (59|60), 'array 1': (59|60)"
    ):
        fit()


def test_update_shared():
    state = {"n": 0}

    def fresh():
        state["n"] += 1
        return np.full(10, state["n"]), np.full((10, 2), -state["n"])

    a, b = vi.Minibatch(np.zeros(10), np.zeros((10, 2)), batch_size=3, update_shared_f=fresh)
    a.update_shared()
    assert np.all(a.eval() == 1)
    assert np.all(b.eval() == -1)
    with pytest.raises(TypeError, match="no update_shared_f"):
        vi.Minibatch(np.zeros(10), batch_size=3).update_shared()


def test_types_are_kept_or_cast():
    for dtype in ("int8", "int64", "bool", "float32"):
        assert vi.Minibatch(np.ones(4, dtype), batch_size=2).dtype == dtype
    assert vi.Minibatch(np.arange(4), batch_size=2, dtype="float32").eval().dtype == "float32"


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("dims", [pytest.param(False, marks=pytest.mark.slow), True])
def test_all_rows_after_the_fit(minibatch, dims):
    (x, y), size = data(), (N,)
    xb, yb = minibatch(x, y, batch_size=B)
    with pm.Model(coords={"row": np.arange(N)} if dims else None) as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        mu = pm.Deterministic("mu", (xb * beta).sum(axis=-1), dims="row" if dims else None)
        pm.Normal("y", mu, 1.0, observed=yb, total_size=N, dims="row" if dims else None)
    with pm.Model() as whole:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        pm.Normal("y", (x * beta).sum(axis=-1), 1.0, observed=y)
    approx = vi.fit(500, method="advi", model=model, random_seed=1, progressbar=False)
    draws = approx.sample(40, random_seed=1)
    betas = draws.posterior["beta"].to_numpy()[0]
    np.testing.assert_allclose(draws.posterior["mu"].to_numpy()[0], betas @ x.T, rtol=1e-9)
    np.testing.assert_allclose(
        draws.sample_stats["log_p"][0], from_pymc(whole).log_prob(betas), rtol=1e-9
    )
    np.testing.assert_array_equal(draws.observed_data["y"], y)
    predicted = approx.sample_posterior_predictive(draws, random_seed=1).posterior_predictive["y"]
    assert predicted.shape == (1, 40, *size)
    # every row's residual has variance 1 + that of mu, the mean over rows and draws far less
    assert abs(float((predicted.to_numpy()[0] - betas @ x.T).mean())) < 5 / np.sqrt(40 * N)
    likelihood = approx.compute_log_likelihood(draws).log_likelihood["y"].to_numpy()[0]
    np.testing.assert_allclose(
        likelihood, -0.5 * (y - betas @ x.T) ** 2 - 0.5 * np.log(2 * np.pi), rtol=1e-6
    )
    assert az.loo(draws).n_data_points == N


@pytest.mark.slow
def test_log_likelihood_of_a_model_with_initial_values():
    _, y = data()
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0, initval=0.5)
        pm.Normal("y", mu, 1.0, observed=vi.Minibatch(y, batch_size=5), total_size=N)
    approx = vi.fit(1, method="advi", model=model, random_seed=1, progressbar=False)
    draws = approx.sample(3)
    likelihood = approx.compute_log_likelihood(draws).log_likelihood["y"].to_numpy()[0]
    mus = draws.posterior["mu"].to_numpy()[0][:, None]
    np.testing.assert_allclose(
        likelihood, -0.5 * (y - mus) ** 2 - 0.5 * np.log(2 * np.pi), rtol=1e-6
    )
    assert model.initial_point()["mu"] == 0.5


@pytest.mark.slow
def test_a_minibatch_that_reaches_no_likelihood():
    x, y = data()
    new = vi.Minibatch(x, batch_size=5)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        pm.Normal("y", x @ beta, 1.0, observed=y)
        pm.Deterministic("prediction", new @ beta)
    approx = vi.fit(300, method="advi", model=model, random_seed=1, progressbar=False)
    assert approx.sample(7).posterior["prediction"].shape == (1, 7, N)


@pytest.mark.slow
def test_a_node_takes_test_data():
    x, y = vi.Minibatch(*data(), batch_size=B)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        mu = pm.math.dot(x, beta)
        pm.Normal("y", mu, 1.0, observed=y, total_size=N)
    approx = vi.fit(500, method="advi", model=model, random_seed=1, progressbar=False)
    test = np.eye(3)[:2]
    node = approx.sample_node(mu, size=30, more_replacements={x: test}, random_seed=1)
    assert node.eval().shape == (30, 2)
    node = approx.sample_node(mu, deterministic=True, more_replacements={x: pt.as_tensor(test)})
    np.testing.assert_allclose(node.eval(), approx.mean.eval()[:2], rtol=1e-6)


SLOW = [pytest.param({"method": name}, marks=pytest.mark.slow) for name in ("nfvi", "asvgd")]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"obj_n_mc": 4}, {"method": "svgd"}, *SLOW], ids=str)
def test_methods_run_on_both_backends_alike(options):
    model = regression()
    fits = [
        vi.fit(20, model=model, random_seed=1, progressbar=False, backend=backend, **options)
        for backend in BACKENDS
    ]
    np.testing.assert_allclose(fits[0].hist, fits[1].hist, rtol=1e-6)


@pytest.mark.slow
def test_groups_and_refine():
    model = regression()
    cuts = []
    for steps in ([40], [15, 25]):
        groups = [vi.Group(["beta"], family="full_rank")]
        inference = vi.KLqp(vi.Approximation(groups, model=model, random_seed=1))
        inference.fit(steps[0], progressbar=False)
        for n in steps[1:]:
            inference.refine(n, progressbar=False)
        cuts.append(inference.hist)
    np.testing.assert_array_equal(*cuts)


@pytest.mark.slow
def test_rows_follow_the_seed_of_the_fit_or_their_own():
    def rows(model, seed):
        target = from_pymc(model, setting=GraphSetting())
        with precision(np.dtype("float64")):
            return np.asarray(
                target.at_step(target.batch(), np.array([seed, 0], np.uint32), np.uint32(3)).rows[
                    -1
                ]
            )

    free, own = regression(), regression(random_seed=5)
    assert not np.array_equal(rows(free, 1), rows(free, 2))
    np.testing.assert_array_equal(rows(own, 1), rows(own, 2))


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        (
            (np.ones(5), np.ones(6)),
            {"batch_size": 2},
            ValueError,
            "different lengths: 'Array 0': 5, 'Array 1': 6",
        ),
        ((np.ones(5),), {"batch_size": 6}, ValueError, "batch_size=6 is larger than axis 0"),
        ((np.ones(5),), {"batch_size": 0}, ValueError, "batch_size=0.* whole number of at least 1"),
        ((np.ones(5),), {"batch_size": 2.0}, TypeError, "batch_size=2.0"),
        ((np.ones(5),), {"batch_size": (2, 3)}, TypeError, r"\(size, seed\) or two axes"),
        ((np.ones(5),), {"batch_size": [2, 2]}, ValueError, "more entries than an array has axes"),
        ((np.ones(5),), {"batch_size": [None]}, ValueError, "draws from no axis"),
        ((np.ones((5, 5)),), {"batch_size": [..., 2, ...]}, ValueError, "more than one Ellipsis"),
        (
            (np.array([1.0, np.nan, 2.0]),),
            {"batch_size": 2},
            ValueError,
            r"Array 0 of vi\.Minibatch has NaN in 1 of 3 rows, first in 1\. nan='drop'",
        ),
        ((np.array(["a", "b"]),), {"batch_size": 1}, TypeError, "Encode labels"),
        ((np.float64(1.0),), {"batch_size": 1}, ValueError, "has no rows"),
        ((), {"batch_size": 1}, TypeError, "at least one array"),
        ((np.ones(5),), {"batch_size": 2, "in_memory_size": 10}, TypeError, "vi.data"),
        (
            (np.ones(5),),
            {"batch_size": 2, "replace": True, "drop_last": True},
            ValueError,
            "exclude each other",
        ),
        (
            (np.ones(5),),
            {"batch_size": 2, "nan": "ignore"},
            ValueError,
            "'raise', 'drop' or 'allow'",
        ),
        (
            (np.ones(5),),
            {"batch_size": 2, "random_seed": -1},
            ValueError,
            "random_seed=-1.*must be",
        ),
        (
            (np.ones(5),),
            {"batch_size": 2, "update_shared_f": 3},
            TypeError,
            "update_shared_f=3 cannot be called",
        ),
    ],
)
def test_bad_minibatches(arrays, options, error, message):
    with pytest.raises(error, match=message):
        vi.Minibatch(*arrays, **options)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array(data()[1], np.arange(N) < 5)
    with pytest.raises(ValueError, match=r"Array 1 of vi\.Minibatch is a masked array"):
        vi.Minibatch(data()[0], masked, batch_size=5)


@pytest.mark.slow
def test_a_mixture_has_all_rows_after_the_fit():
    batch = vi.Minibatch(data()[1], batch_size=B)
    with pm.Model() as model:
        p = pm.Dirichlet("p", np.ones(2))
        pm.NormalMixture("y", p, [-2.0, 2.0], 1.0, observed=batch, total_size=N)
    check_unbiased(model)
    draws = vi.fit(100, method="advi", model=model, random_seed=1, progressbar=False).sample(3)
    assert draws.posterior["p"].shape == (1, 3, 2)


def test_rows_with_nan_may_be_left_out():
    x, y = np.arange(6.0), np.arange(6.0)
    x[1], y[4] = np.nan, np.nan
    a, b = vi.Minibatch(x, y, batch_size=4, nan="drop")
    np.testing.assert_array_equal(a.shared.get_value(), [0, 2, 3, 5])
    np.testing.assert_array_equal(b.shared.get_value(), [0, 2, 3, 5])


def test_nan_in_data_of_pymc_is_named():
    x, y = data()
    y = y.copy()
    y[17] = np.nan
    xb, yb = pm.Minibatch(x, y, batch_size=5)
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=3)
        pm.Normal("y", (xb * beta).sum(axis=-1), 1.0, observed=yb, total_size=N)
    with pytest.raises(ValueError, match="NaN in 1 of 60 rows, first in 17"):
        vi.fit(3, method="advi", model=model, progressbar=False)
