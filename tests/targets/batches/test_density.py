"""Minibatches in place of full data, through ``more_replacements``: the scale, the rows, both
backends, refusals.
"""

from __future__ import annotations

import functools

import jax
import numpy as np
import pymc as pm
import pytest

import vi
from vi.foundation.precision import precision
from vi.graphs.replacements import as_variables
from vi.targets import from_pymc
from vi.targets.base import StepInputs

N, B = 60, 12


@functools.cache
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 2))
    return x, x @ [1.0, 2.0] + rng.normal(size=N), rng.poisson(3.0, size=N)


@functools.cache
def model(total_size=None):
    """Two likelihoods on the same rows, one of them of whole numbers, a small one of its own, a
    potential.
    """
    x, y, counts = data()
    with pm.Model() as built:
        rows, target, many = pm.Data("rows", x), pm.Data("target", y), pm.Data("many", counts)
        beta = pm.Normal("beta", 0.0, 10.0, shape=2)
        mu = (rows * beta).sum(axis=-1)
        pm.Normal("y", mu, 1.0, observed=target, total_size=total_size)
        pm.Poisson("count", pm.math.exp(0.1 * mu), observed=many)
        pm.Normal("other", beta[0], 1.0, observed=np.array([0.5, 0.7]))
        pm.Potential("pull", -0.1 * (beta**2).sum())
    return built


def batches(built, *names, size=B):
    """Replacements of data by minibatches whose rows are drawn together."""
    values = [built[name].get_value() for name in names]
    made = pm.Minibatch(*values, batch_size=size)
    return dict(
        zip([built[name] for name in names], made if len(names) > 1 else [made], strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("total_size", [None, N])
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_batches_add_up_to_the_full_data(backend, dtype, total_size):
    """The mean of log p over a partition of the rows into batches is log p of all rows, and so
    is its gradient.
    """
    built = model(total_size)
    options = {"backend": backend, "dtype": dtype}
    full = from_pymc(built, **options)
    target = from_pymc(built, **options, more_replacements=batches(built, "rows", "target", "many"))
    (taken,) = target.graph.rows
    assert (taken.count(), taken.size) == (N, B)
    points = np.array([[0.3, -0.2], [1.0, 2.0]], dtype)
    partition = np.random.default_rng(2).permutation(N).reshape(-1, B)
    with precision(np.dtype(dtype)):
        parts = [
            target.value_and_score(points, StepInputs(target.batch().arrays, (rows,)))
            for rows in partition
        ]
        value, score = full.value_and_score(points, full.batch())
    rtol = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(np.mean([np.asarray(v) for v, _ in parts], axis=0), value, rtol=rtol)
    np.testing.assert_allclose(
        np.mean([np.asarray(s) for _, s in parts], axis=0), score, rtol=rtol, atol=rtol * 100
    )
    spread = np.std([np.asarray(v) for v, _ in parts], axis=0)
    assert np.all(spread > 1.0), "the batches are different"


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.slow
def test_every_row_comes_once_an_epoch(backend):
    built = model()
    target = from_pymc(
        built, backend=backend, more_replacements=batches(built, "rows", "target", "many", size=7)
    )
    with precision(np.dtype("float64")):
        words, batch = np.array([3, 4], np.uint32), target.batch()
        take = jax.jit(target.at_step) if backend == "jax" else target.at_step
        rows = np.stack(
            [np.asarray(take(batch, words, np.uint32(step)).rows[-1]) for step in range(2 * N)]
        )
        again = np.asarray(take(batch, words, np.uint32(7)).rows[-1])
    np.testing.assert_array_equal(rows[7], again)
    epochs = rows.reshape(-1, N)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(N), (len(epochs), 1)))
    assert len(np.unique(epochs, axis=0)) == len(epochs)


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("method", ["fullrank_advi", pytest.param("svgd", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_fits_reach_the_posterior_of_the_full_data(method, backend):
    x, y, _ = data()
    with pm.Model() as built:
        rows, target = pm.Data("rows", x), pm.Data("target", y)
        beta = pm.Normal("beta", 0.0, 10.0, shape=2)
        pm.Normal("y", (rows * beta).sum(axis=-1), 1.0, observed=target)
    cov = np.linalg.inv(x.T @ x + np.eye(2) / 100)
    mean, sd = cov @ x.T @ y, np.sqrt(np.diag(cov))
    steps = 10_000 if method == "fullrank_advi" else 1_000
    approx = vi.fit(
        steps, method=method, model=built, random_seed=1, backend=backend, progressbar=False,
        more_replacements=batches(built, "rows", "target"),
    )  # fmt: skip
    # The noise of the rows: the gradient of one batch has the variance (N/B) N var(x e) about that
    # of the data, 5 times the information; averaged over 0.21 n steps it is small beside this for
    # the average, and visible for particles.
    limit = 0.3 if method == "fullrank_advi" else 0.6
    assert np.all(np.abs(approx.mean.eval() - mean) < limit * sd)
    assert np.all(np.abs(np.log(approx.std.eval() / sd)) < limit)
    draws = approx.sample(10, random_seed=1)
    full = from_pymc(built).log_prob(draws["posterior"]["beta"].to_numpy()[0])
    np.testing.assert_allclose(draws["sample_stats"]["log_p"][0], full, rtol=1e-9)


@pytest.mark.slow
def test_backends_take_the_same_rows_and_runs_repeat():
    built, losses = model(), []
    replace = batches(built, "rows", "target", "many")
    for backend, cuts in (("jax", [200]), ("pytensor", [200]), ("jax", [50, 150])):
        advi = vi.ADVI(model=built, random_seed=4)
        advi.fit(cuts[0], backend=backend, more_replacements=replace, progressbar=False)
        for n in cuts[1:]:
            advi.refine(n, progressbar=False)
        losses.append(advi.hist)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-8)
    np.testing.assert_array_equal(losses[0], losses[2])


@pytest.mark.slow
def test_arrays_may_be_given():
    """Other data of another length: what was given is fitted, unscaled."""
    built, (x, y, counts) = model(), data()
    fits = [
        vi.fit(
            300,
            method="advi",
            model=built,
            random_seed=1,
            progressbar=False,
            more_replacements=given,
        )
        for given in (
            {built["rows"]: x[:7], built["target"]: y[:7], built["many"]: counts[:7]},
            as_variables({built["rows"]: x[:7], built["target"]: y[:7], built["many"]: counts[:7]}),
        )
    ]
    np.testing.assert_array_equal(fits[0].hist, fits[1].hist)
    few = vi.fit(300, method="advi", model=built, random_seed=1, progressbar=False)
    assert few.std.eval().mean() < fits[0].std.eval().mean()


def test_bad_replacements():
    built, (x, y, counts) = model(), data()
    fit = functools.partial(vi.fit, 3, method="advi", model=built, progressbar=False)
    with pytest.raises(
        ValueError, match="'y' sees a minibatch, but its observed values are still the full data"
    ):
        fit(more_replacements=batches(built, "rows"))
    apart = batches(built, "rows") | batches(built, "target") | batches(built, "many")
    with pytest.raises(ValueError, match="'y' sees two minibatches"):
        fit(more_replacements=apart)
    x_short, y_short, c_short = pm.Minibatch(x[:30], y[:30], counts[:30], batch_size=5)
    with pytest.raises(
        ValueError, match="has 60 rows, and the minibatch in its place is one of 30"
    ):
        fit(
            more_replacements={
                built["rows"]: x_short,
                built["target"]: y_short,
                built["many"]: c_short,
            }
        )
    with pytest.raises(TypeError, match="more_replacements"):
        fit(more_replacements=[built["rows"]])
    with pm.Model() as other:
        weights = pm.Data("weights", np.ones(5))
        beta = pm.Normal("beta")
        pm.Potential("p", (weights * beta).sum())
    with pytest.raises(ValueError, match="Potential 'p'"):
        vi.fit(
            3,
            model=other,
            progressbar=False,
            more_replacements={weights: pm.Minibatch(np.ones(5), batch_size=2)},
        )


@pytest.mark.slow
def test_whole_numbers_of_another_width():
    """pm.Data keeps int64 arrays as int32; a minibatch of the same array is int64."""
    group = np.arange(N) % 3
    with pm.Model() as built:
        index, target = pm.Data("index", group), pm.Data("target", data()[1])
        level = pm.Normal("level", shape=3)
        pm.Normal("y", level[index], 2.0, observed=target)
    taken, y = pm.Minibatch(group, data()[1], batch_size=10)
    assert taken.dtype != index.dtype
    approx = vi.fit(20, model=built, more_replacements={index: taken, target: y}, progressbar=False)
    assert np.isfinite(approx.hist).all()


def rowwise(kind):
    x, y, _ = data()
    with pm.Model() as built:
        rows, target = pm.Data("rows", x[:, 0]), pm.Data("target", y)
        a = pm.Normal("a")
        if kind == "mean":
            pm.Normal("y", a * (rows - rows.mean()), 1.0, observed=target)
        elif kind == "cumsum":
            pm.Normal("y", a + pm.math.cumsum(rows), 1.0, observed=target)
        else:
            pm.Normal("y", a + rows, 1.0, observed=target)
    return built


@pytest.mark.parametrize("kind", ["mean", "cumsum"])
def test_models_that_mix_rows_are_refused(kind):
    built = rowwise(kind)
    with pytest.raises(ValueError, match="'y' for a batch of rows is not that of the same rows"):
        vi.fit(
            3, model=built, progressbar=False, more_replacements=batches(built, "rows", "target")
        )


def test_a_minibatch_of_other_data_is_refused():
    built = rowwise("plain")
    other = pm.Minibatch(5.0 * data()[0][:, 0], data()[1], batch_size=B)
    replace = {built["rows"]: other[0], built["target"]: other[1]}
    with pytest.raises(ValueError, match="made from other data"):
        vi.fit(3, model=built, progressbar=False, more_replacements=replace)


def test_replacements_that_do_not_fit_say_so():
    built = rowwise("plain")
    for replace in (
        batches(built, "target"),
        {
            built["rows"]: data()[0][:5, 0],
            built["target"]: batches(built, "target")[built["target"]],
        },
    ):
        with pytest.raises(ValueError, match=r"more_replacements|cannot be computed for a batch"):
            vi.fit(3, model=built, progressbar=False, more_replacements=replace)
    with pytest.raises(TypeError, match="what is to take its place"):
        vi.fit(3, model=built, progressbar=False, more_replacements={built["rows"]: data()[0]})
