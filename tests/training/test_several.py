"""Several fits at once: the best is kept, and what is said of the others is true."""

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from problems import conjugate_regression, noise

import vi
from vi.approximation.steps.run import run_of
from vi.foundation.precision import precision

RUNS = 6


@pytest.fixture(params=["jax", "pytensor"])
def backend(request):
    return request.param


def two_modes():
    """Normals at 4 and -4, sd 0.5, of weights 0.8 and 0.2: a mean-field q finds one, and its
    ELBO is the log weight.
    """
    with pm.Model() as model:
        m = pm.Flat("m")
        height = -0.5 * np.log(2 * np.pi * 0.25)
        pm.Potential(
            "two",
            pm.math.logaddexp(
                np.log(0.8) + height - 0.5 * ((m - 4) / 0.5) ** 2,
                np.log(0.2) + height - 0.5 * ((m + 4) / 0.5) ** 2,
            ),
        )
    return model


@pytest.mark.few(1)
@pytest.mark.slow
def test_the_best_of_two_modes_is_kept(backend):
    # searches from so wide a start all find the higher mode
    cold = {"inf_kwargs": {"warm_start": False}}
    options = {"start_sigma": {"m": 3.0}, "restarts": RUNS, "backend": backend, **cold}
    approx = vi.fit(2_000, "advi", two_modes(), 1, **options, progressbar=False)
    record = approx.sample(10)["fit"]
    sides = np.sign(record["restart_mean"].to_numpy()[:, 0])
    assert {-1.0, 1.0} == set(sides), "the starts have to differ for this test to say anything"
    expected = np.where(sides > 0, np.log(0.8), np.log(0.2))
    # the loss of one draw: log p varies by 1 / sqrt(2), over 500 steps, and the modes are 16 sds
    # apart
    error = 5 * np.sqrt(0.5 / 500)
    np.testing.assert_allclose(record["restart_elbo"], expected, atol=error)
    np.testing.assert_allclose(record["restart_elbo_error"], np.sqrt(0.5 / 500), rtol=0.5)
    mean, log_sd = 5 * noise(2_000), 5 * noise(2_000) / np.sqrt(2)
    assert abs(approx.mean.eval()[0] - 4) < mean * 0.5
    best = record.attrs["restart_best"]
    assert sides[best] == 1
    assert record.attrs["restarts_near_best"] == np.sum(sides > 0)
    distance = record["restart_distance"].to_numpy()
    assert np.all(distance[sides > 0] < 2 * mean * np.exp(log_sd))
    np.testing.assert_allclose(distance[sides < 0], 16.0, atol=16 * np.expm1(log_sd) + 2 * mean)
    np.testing.assert_allclose(
        -record["loss"].to_numpy()[-500:].mean(), record["restart_elbo"][best]
    )
    assert f"{RUNS} restarts: run {best} is the best" in approx.status.message


@pytest.mark.slow
def test_the_first_run_is_a_single_fit(backend):
    model = conjugate_regression().model
    # from a search they would all be at the posterior, which is normal
    cold = {"backend": backend, "progressbar": False, "inf_kwargs": {"warm_start": False}}
    single = vi.fit(500, "fullrank_advi", model, 3, **cold)
    several = vi.fit(500, "fullrank_advi", model, 3, restarts=3, **cold)
    record = several.sample(1)["fit"]
    # the same arithmetic in another order, in 500 steps that do not amplify it
    np.testing.assert_allclose(record["restart_mean"][0], single.mean.eval(), rtol=1e-6, atol=1e-8)
    assert not np.array_equal(record["restart_mean"][1], record["restart_mean"][0])


@pytest.mark.slow
def test_backends_agree():
    model = conjugate_regression().model
    found = [
        vi.fit(300, "advi", model, 3, backend=backend, restarts=3, progressbar=False).sample(1)[
            "fit"
        ]
        for backend in ("jax", "pytensor")
    ]
    np.testing.assert_allclose(
        found[0]["restart_mean"], found[1]["restart_mean"], rtol=1e-5, atol=1e-7
    )


@pytest.mark.slow
def test_a_run_that_fails_does_not_stop_the_others(backend):
    """log p is not a number left of -1: runs that begin there, or come there, are out."""
    with pm.Model() as model:
        x = pm.Normal("x", 5.0, 0.5)
        pm.Potential("hole", pt.switch(x > -1.0, 0.0, np.nan))
    options = {"start": {"x": 0.0}, "start_sigma": {"x": 0.7}, "restarts": 20}
    approx = vi.fit(500, "advi", model, 1, **options, backend=backend, progressbar=False)
    elbo = approx.sample(1)["fit"]["restart_elbo"].to_numpy()
    failed = int(np.isnan(elbo).sum())
    assert 0 < failed < 20, "some have to fail, not all, for this test to say anything"
    assert f", {failed} diverged" in approx.status.message
    assert abs(approx.mean.eval()[0] - 5.0) < 5 * noise(500) * 0.5
    with pm.Model() as model:
        x = pm.Normal("x")
        pm.Potential("a point", pt.switch(pt.eq(x, 0.0), 0.0, np.nan))
    with pytest.raises(vi.DivergedError, match="NaN or infinity at step 1"):
        vi.fit(100, "advi", model, 1, restarts=3, backend=backend, progressbar=False)


def every(steps):
    """A function as a callback that is called every so many steps."""

    class Called(vi.callbacks.Callback):
        def __init__(self, function):
            super().__init__(steps)
            self.function = function

        def __call__(self, approx, losses, i):
            self.function(approx, losses, i)

    return Called


@pytest.mark.slow
def test_callbacks_see_the_leading_run(backend):
    seen = []

    @every(200)
    def watch(approx, losses, i):
        seen.append((float(approx.mean.eval()[0]), len(losses)))
        if i == 400:
            raise StopIteration

    # searches from so wide a start all find the higher mode
    cold = {"inf_kwargs": {"warm_start": False}}
    options = {"start_sigma": {"m": 3.0}, "restarts": RUNS, "backend": backend, **cold}
    approx = vi.fit(2_000, "advi", two_modes(), 1, **options, callbacks=[watch], progressbar=False)
    assert approx.status.ending == "stopped"
    assert [n for _, n in seen] == [200, 400]
    assert seen[-1][0] > 0
    assert approx.status.step == 400 == len(approx.hist)


@pytest.mark.slow
def test_going_on_keeping_and_copying(tmp_path):
    model = conjugate_regression().model
    approx = vi.fit(200, "advi", model, 3, restarts=3, progressbar=False)
    before = approx.sample(1)["fit"]
    approx.refine(100, progressbar=False)
    assert len(approx.hist) == 300
    approx.save(tmp_path / "fit.vi")
    loaded = vi.load(tmp_path / "fit.vi", model=model)
    for name in before:
        if name.startswith("restart"):
            np.testing.assert_array_equal(loaded.sample(1)["fit"][name], before[name])
    assert loaded.sample(1)["fit"].attrs["restart_best"] == before.attrs["restart_best"]
    approx.restart()
    assert "restart_elbo" not in approx.sample(1)["fit"]


@pytest.mark.slow
def test_rows_differ_from_run_to_run():
    y = vi.Minibatch(np.arange(1_000.0), batch_size=50)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        pm.Normal("y", mu, 1.0, observed=y, total_size=1_000)
    approx = vi.fit(1, "advi", model, 1, backend="jax", progressbar=False)
    target = approx.target(training=True)
    several = run_of(approx.record, target, 3)
    with precision(approx.dtype):
        words = [jax.random.key_data(several.state_of(run).key) for run in range(3)]
        steps = [target.at_step(target.batch(), own, np.uint32(0)) for own in words]
    assert len({tuple(np.asarray(step.rows[0])) for step in steps}) == 3


@pytest.mark.parametrize("restarts", [0, -1, 1.5, True, "4"])
def test_numbers_that_are_none(restarts):
    with pytest.raises(ValueError, match=r"restarts=.*whole number"):
        vi.fit(10, "advi", two_modes(), restarts=restarts, progressbar=False)


def test_what_cannot_be_restarted():
    with pytest.raises(TypeError, match="is chosen by ELBO, and the loss of this fit is another"):
        vi.fit(10, "svgd", two_modes(), restarts=2, progressbar=False)
    inference = vi.ADVI(model=two_modes(), random_seed=1)
    inference.fit(10, progressbar=False)
    with pytest.raises(TypeError, match=r"approx\.restart"):
        inference.fit(10, restarts=2, progressbar=False)
    with pytest.raises(TypeError, match="devices"):
        vi.fit(10, "advi", two_modes(), restarts=2, devices=1, progressbar=False)
