"""``vi.Minibatch`` and ``pm.Minibatch`` in a model: the scale of every term, on both backends,
and what is refused.
"""

from __future__ import annotations

import functools

import arviz as az
import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import vi
from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.base import StepInputs
from vi.targets.batches.setting import Setting

N, B = 60, 12
BACKENDS = ["jax", "pytensor"]
EITHER = ["jax", pytest.param("pytensor", marks=pytest.mark.slow)]
BOTH = pytest.mark.parametrize("minibatch", [vi.Minibatch, pm.Minibatch], ids=["vi", "pm"])


@functools.cache
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 3))
    return x, x @ [1.0, -2.0, 0.5] + rng.normal(size=N)


def regression(minibatch=vi.Minibatch, total_size=N, size=B, **options):
    x, y = minibatch(*data(), batch_size=size, **options)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        mu = pm.Deterministic("mu", (x * beta).sum(axis=-1))
        pm.Normal("y", mu, 1.0, observed=y, total_size=total_size)
    return model


def check_unbiased(model, backend="jax", scale=None):
    """The mean of log p and its gradient over a partition of the rows are those of all rows."""
    full = from_pymc(model, backend=backend)
    target = from_pymc(model, backend=backend, setting=Setting(training=True, scale=scale))
    points = np.random.default_rng(3).normal(size=(2, full.dim))
    with precision(np.dtype("float64")):
        partition = [
            np.random.default_rng(i).permutation(r.count()) for i, r in enumerate(target.graph.rows)
        ]
        cuts = [
            np.split(rows, r.count() // r.size)
            for rows, r in zip(partition, target.graph.rows, strict=True)
        ]
        grid = np.stack(np.meshgrid(*(range(len(c)) for c in cuts), indexing="ij"), -1).reshape(
            -1, len(cuts)
        )
        shared = target.batch().arrays
        parts = [
            target.value_and_score(
                points, StepInputs(shared, tuple(np.array(c[i]) for c, i in zip(cuts, which, strict=True)))
            )
            for which in grid
        ]
        value, score = full.value_and_score(points, full.batch())
    np.testing.assert_allclose(np.mean([np.asarray(v) for v, _ in parts], axis=0), value, rtol=1e-7)
    np.testing.assert_allclose(
        np.mean([np.asarray(s) for _, s in parts], axis=0), score, rtol=1e-7, atol=1e-6
    )
    assert np.std([np.asarray(v)[0] for v, _ in parts]) > 1e-3, "the batches are different"
    return np.asarray(value)


# ---- the scale -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@BOTH
def test_batches_add_up(minibatch, backend):
    check_unbiased(regression(minibatch), backend)


def vector_model(total_size, size=B):
    x, _ = data()
    batch = vi.Minibatch(x, batch_size=size)
    with pm.Model() as model:
        mu = pm.Normal("mu", shape=3)
        pm.MvNormal("x", mu, cov=np.eye(3) + 0.5, observed=batch, total_size=total_size)
    return model


def matrix_model(total_size):
    x, _ = data()
    batch = vi.Minibatch(x, batch_size=B)
    with pm.Model() as model:
        mu = pm.Normal("mu", shape=3)
        pm.Normal("x", mu, 2.0, observed=batch, total_size=total_size)
    return model


def exact(model):
    """log p of the model written with all the data."""
    x, _ = data()
    with pm.Model() as whole:
        mu = pm.Normal("mu", shape=3)
        if isinstance(model["x"].owner.inputs[0].owner.op, pm.MvNormal.rv_type):
            pm.MvNormal("x", mu, cov=np.eye(3) + 0.5, observed=x)
        else:
            pm.Normal("x", mu, 2.0, observed=x)
    return from_pymc(whole, backend="jax").log_prob(np.random.default_rng(3).normal(size=(2, 3)))


@pytest.mark.parametrize("backend", EITHER)
@pytest.mark.parametrize("build", [vector_model, matrix_model])
@pytest.mark.parametrize("total_size", [N, (N, None), (N, ...), [N, 3], (N, 3)], ids=str)
def test_every_form_of_total_size(build, total_size, backend):
    model = build(total_size)
    np.testing.assert_allclose(check_unbiased(model, backend), exact(model), rtol=1e-7)


@pytest.mark.parametrize("backend", EITHER)
def test_two_likelihoods_with_different_numbers_of_rows(backend):
    x, y = data()
    first, second = vi.Minibatch(x[:, 0], batch_size=B), vi.Minibatch(y[:20], batch_size=5)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("first", mu, 1.0, observed=first, total_size=N)
        pm.Normal("second", 2.0 * mu, 3.0, observed=second, total_size=20)
        pm.Normal("whole", mu, 1.0, observed=y[:7])
    check_unbiased(model, backend)


@pytest.mark.parametrize("backend", EITHER)
def test_matrix_factorisation_draws_rows_and_columns_apart(backend):
    rng = np.random.default_rng(2)
    ratings = rng.normal(size=(12, 8))
    batch = vi.Minibatch(ratings, batch_size=[(4, 1), (2, 2)])
    users = vi.Minibatch(np.arange(12), batch_size=[(4, 1)])
    items = vi.Minibatch(np.arange(8), batch_size=[(2, 2)])
    with pm.Model() as model:
        u, v = pm.Normal("u", shape=(12, 2)), pm.Normal("v", shape=(8, 2))
        pm.Normal("r", u[users] @ v[items].T, 0.5, observed=batch, total_size=(12, 8))
    target = from_pymc(model, backend=backend, setting=Setting())
    assert sorted((rows.count(), rows.size) for rows in target.graph.rows) == [(8, 2), (12, 4)]
    check_unbiased(model, backend)


@pytest.mark.parametrize("backend", EITHER)
def test_potentials_are_scaled_when_told(backend):
    x, y = vi.Minibatch(*data(), batch_size=B)
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=3)
        pm.Potential("fit", -0.5 * ((y - (x * beta).sum(axis=-1)) ** 2).sum())
    check_unbiased(model, backend, scale={"fit": "rows"})
    with pytest.raises(ValueError, match=r"Potential 'fit'.*scale=\{'fit': 'rows'\}"):
        vi.fit(3, model=model, progressbar=False)
    assert np.isfinite(vi.fit(3, model=model, progressbar=False, scale={"fit": 5.0}).hist).all()


def test_scale_in_place_of_total_size():
    model = regression(total_size=None)
    check_unbiased(model, scale="rows")
    check_unbiased(model, scale={"y": "rows"})
    unscaled = from_pymc(model, setting=Setting(scale={"y": 1.0}))
    scaled = from_pymc(model, setting=Setting(scale="rows"))
    with precision(np.dtype("float64")):
        rows, points = np.arange(B), np.zeros((1, 3))
        prior = -0.5 * 3 * np.log(2 * np.pi * 100)
        a, b = (
            float(t.value_and_score(points, StepInputs(t.batch().arrays, (rows,)))[0][0]) - prior
            for t in (unscaled, scaled)
        )
    np.testing.assert_allclose(b, a * N / B, rtol=1e-7)


def test_the_documented_example_of_pymc():
    """40,000 x 100 in the documentation: total_size is a shape. Here with fewer rows."""
    rows = np.random.default_rng(0).random((400, 10))
    batch = vi.Minibatch(rows, batch_size=50)
    with pm.Model() as model:
        mu, sd = pm.Flat("mu", shape=10), pm.HalfNormal("sd", shape=10)
        pm.Normal("likelihood", mu, sd, observed=batch, total_size=rows.shape)
    check_unbiased(model)
    approx = vi.fit(4000, model=model, random_seed=1, progressbar=False)
    # a batch has N / B = 8 times the variance of the data; averaged over 0.21 n iterates that is
    # little
    assert np.all(
        np.abs(approx.summary()["mean"].to_numpy()[:10] - rows.mean(0))
        < 3 * rows.std(0) / np.sqrt(400)
    )


@pytest.mark.parametrize(
    "options", [{"replace": True}, {"drop_last": True}, {"short_last": True}], ids=str
)
@pytest.mark.parametrize("backend", EITHER)
def test_ways_of_sampling(options, backend):
    """Over the steps of many epochs, log p averages to that of all rows."""
    model = regression(size=25, **options)
    full = from_pymc(model, backend=backend)
    target = from_pymc(model, backend=backend, setting=Setting())
    steps = 600
    with precision(np.dtype("float64")):
        points, batch, words = np.ones((1, 3)), target.batch(), np.array([1, 2], np.uint32)
        value = lambda batch, t: target.value_and_score(points, target.at_step(batch, words, t))[0]  # noqa: E731
        value = jax.jit(value) if backend == "jax" else value
        values = np.array([float(np.asarray(value(batch, np.uint32(t)))[0]) for t in range(steps)])
        expected = full.log_prob(points)[0]
    if (
        "short_last" in options
    ):  # an epoch is a partition: batches of 25, 25 and 10 rows, each scaled by its own length
        prior = -0.5 * (3 * np.log(2 * np.pi * 100) + 3 / 100)
        parts = (values.reshape(-1, 3) - prior) * [25 / N, 25 / N, 10 / N]
        np.testing.assert_allclose(parts.sum(axis=1), expected - prior, rtol=1e-7)
    else:
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(steps)


# ---- the tensors ---------------------------------------------------------------------------------


def test_rows_stay_together_and_come_once_an_epoch():
    x, labels = np.arange(20.0).reshape(10, 2), np.arange(10)
    a, b = vi.Minibatch(x, labels, batch_size=4)
    assert (a.dtype, b.dtype) == ("float64", "int64")
    rows = []
    import pytensor

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
    with pytest.raises(ValueError, match=r"different lengths: (59, 60|60, 59)"):
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


@pytest.mark.parametrize("backend", EITHER)
def test_int64_labels(backend):
    x, y = data()
    batch, labels = vi.Minibatch(x, (y > 0).astype(np.int64), batch_size=B)
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=3)
        pm.Bernoulli("y", logit_p=batch @ beta, observed=labels, total_size=N)
    check_unbiased(model, backend)


# ---- everything that is not training uses all rows -----------------------------------------------


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
    approx = vi.fit(500, model=model, random_seed=1, progressbar=False)
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


def test_log_likelihood_of_a_model_with_initial_values():
    _, y = data()
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0, initval=0.5)
        pm.Normal("y", mu, 1.0, observed=vi.Minibatch(y, batch_size=5), total_size=N)
    approx = vi.fit(1, model=model, random_seed=1, progressbar=False)
    draws = approx.sample(3)
    likelihood = approx.compute_log_likelihood(draws).log_likelihood["y"].to_numpy()[0]
    mus = draws.posterior["mu"].to_numpy()[0][:, None]
    np.testing.assert_allclose(
        likelihood, -0.5 * (y - mus) ** 2 - 0.5 * np.log(2 * np.pi), rtol=1e-6
    )
    assert model.initial_point()["mu"] == 0.5


def test_a_minibatch_that_reaches_no_likelihood():
    x, y = data()
    new = vi.Minibatch(x, batch_size=5)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        pm.Normal("y", x @ beta, 1.0, observed=y)
        pm.Deterministic("prediction", new @ beta)
    approx = vi.fit(300, model=model, random_seed=1, progressbar=False)
    assert approx.sample(7).posterior["prediction"].shape == (1, 7, N)


def test_a_node_takes_test_data():
    x, y = vi.Minibatch(*data(), batch_size=B)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        mu = pm.math.dot(x, beta)
        pm.Normal("y", mu, 1.0, observed=y, total_size=N)
    approx = vi.fit(500, model=model, random_seed=1, progressbar=False)
    test = np.eye(3)[:2]
    node = approx.sample_node(mu, size=30, more_replacements={x: test}, random_seed=1)
    assert node.eval().shape == (30, 2)
    node = approx.sample_node(mu, deterministic=True, more_replacements={x: pt.as_tensor(test)})
    np.testing.assert_allclose(node.eval(), approx.mean.eval()[:2], rtol=1e-6)


# ---- methods -------------------------------------------------------------------------------------


SLOW = [pytest.param({"method": name}, marks=pytest.mark.slow) for name in ("nfvi", "asvgd")]


@pytest.mark.parametrize("options", [{"obj_n_mc": 4}, {"method": "svgd"}, *SLOW], ids=str)
def test_methods_run_on_both_backends_alike(options):
    model = regression()
    fits = [
        vi.fit(20, model=model, random_seed=1, progressbar=False, backend=backend, **options)
        for backend in BACKENDS
    ]
    np.testing.assert_allclose(fits[0].hist, fits[1].hist, rtol=1e-6)


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


def test_rows_follow_the_seed_of_the_fit_or_their_own():
    def rows(model, seed):
        target = from_pymc(model, setting=Setting())
        with precision(np.dtype("float64")):
            return np.asarray(
                target.at_step(target.batch(), np.array([seed, 0], np.uint32), np.uint32(3)).rows[-1]
            )

    free, own = regression(), regression(random_seed=5)
    assert not np.array_equal(rows(free, 1), rows(free, 2))
    np.testing.assert_array_equal(rows(own, 1), rows(own, 2))


# ---- refused -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("total_size", "message"),
    [
        (None, r"'y' sees a batch \(12 of 60 rows\) but has no total_size.*total_size=60"),
        (
            N // B,
            r"total_size=5 of 'y' multiplies its log likelihood by 0.416667, but it sees 12 of 60.*total_size=60",
        ),
        (N + 1, r"total_size=61 of 'y'.*Write total_size=60"),
    ],
)
def test_wrong_scales_are_errors(minibatch, total_size, message):
    with pytest.raises(ValueError, match=message):
        vi.fit(3, model=regression(minibatch, total_size), progressbar=False)


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        ((np.ones(5), np.ones(6)), {"batch_size": 2}, ValueError, "different lengths: 5, 6"),
        ((np.ones(5),), {"batch_size": 6}, ValueError, "batch_size=6 is larger than axis 0"),
        ((np.ones(5),), {"batch_size": 0}, ValueError, "0 is not a whole number of at least 1"),
        ((np.ones(5),), {"batch_size": 2.0}, TypeError, "batch_size=2.0"),
        ((np.ones(5),), {"batch_size": (2, 3)}, TypeError, r"\(size, seed\) or two axes"),
        ((np.ones(5),), {"batch_size": [2, 2]}, ValueError, "more entries than an array has axes"),
        ((np.ones(5),), {"batch_size": [None]}, ValueError, "draws from no axis"),
        ((np.ones((5, 5)),), {"batch_size": [..., 2, ...]}, ValueError, "more than one Ellipsis"),
        (
            (np.array([1.0, np.nan, 2.0]),),
            {"batch_size": 2},
            ValueError,
            "NaN in 1 of 3 rows, first in 1",
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
        ((np.ones(5),), {"batch_size": 2, "random_seed": -1}, ValueError, "random_seed must be"),
        (
            (np.ones(5),),
            {"batch_size": 2, "update_shared_f": 3},
            TypeError,
            "update_shared_f must be callable",
        ),
    ],
)
def test_bad_minibatches(arrays, options, error, message):
    with pytest.raises(error, match=message):
        vi.Minibatch(*arrays, **options)


@pytest.mark.parametrize("size", [1, 12])
@pytest.mark.parametrize(
    "mixing", [lambda x: x - x.mean(), lambda x: x / x.min(), pt.cumsum], ids=["mean", "min", "sum"]
)
def test_no_batch_is_too_short_to_see_mixed_rows(mixing, size):
    x, y = vi.Minibatch(data()[0][:, 0], data()[1], batch_size=size)
    with pm.Model() as model:
        a = pm.Normal("a")
        pm.Normal("y", a * mixing(x), 1.0, observed=y, total_size=N)
    with pytest.raises(ValueError, match="mixes rows"):
        vi.fit(3, model=model, progressbar=False)


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
    draws = vi.fit(100, model=model, random_seed=1, progressbar=False).sample(3)
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
        vi.fit(3, model=model, progressbar=False)


@pytest.mark.parametrize("kind", ["mean", "fixed", "prior", "apart", "half"])
def test_models_whose_scale_cannot_be_right(kind):
    x, y = vi.Minibatch(*data(), batch_size=B)
    with pm.Model() as model:
        a = pm.Normal("a", shape=B if kind == "fixed" else None)
        if kind == "mean":
            pm.Normal("y", a * (x[:, 0] - x[:, 0].mean()), 1.0, observed=y, total_size=N)
        elif kind == "fixed":
            pm.Normal("y", a + x[:, 0], 1.0, observed=y, total_size=N)
        elif kind == "prior":
            b = pm.Normal("b", x[:, 0].sum(), 1.0)
            pm.Normal("y", a + b + x[:, 0], 1.0, observed=y, total_size=N)
        elif kind == "apart":
            other = vi.Minibatch(data()[0], batch_size=B)
            pm.Normal("y", a * other[:, 0], 1.0, observed=y, total_size=N)
        else:
            pm.Normal("y", a * x[:, 0], 1.0, observed=data()[1][:B], total_size=N)
    message = {
        "mean": "mixes rows",
        "fixed": r"vi.Group\(\[...\], local=True\)",
        "prior": "reaches the prior of the free variable 'b'",
        "apart": "not drawn together|total_size",
        "half": "total_size|full data",
    }[kind]
    with pytest.raises(ValueError, match=message):
        vi.fit(3, model=model, progressbar=False)


@pytest.mark.parametrize(
    ("scale", "error", "message"),
    [
        ({"z": "rows"}, ValueError, "no likelihood or Potential"),
        ({"y": -1.0}, ValueError, "positive number"),
        ({"y": "N"}, ValueError, "positive number"),
        (2.0, TypeError, "scale=2.0"),
    ],
)
def test_bad_scales(scale, error, message):
    with pytest.raises(error, match=message):
        vi.fit(3, model=regression(), progressbar=False, scale=scale)
