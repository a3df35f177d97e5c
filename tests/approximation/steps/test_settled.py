"""Whether q has settled where the last iterate is reported: by steps that are not made."""

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytest

import vi
from vi.training.one import OneRun

ROWS = 20_000


@pytest.fixture(scope="module")
def of_batches():
    """A regression with known noise, in batches, and its exact means and sds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    y = x @ [0.5, -0.2, 0.1] + rng.normal(size=ROWS)
    with pm.Model() as model:
        rows, seen = vi.Minibatch(x, y, batch_size=100)
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        pm.Normal("y", rows @ beta, 1.0, observed=seen, total_size=ROWS)
    precision = x.T @ x + np.eye(3)
    return model, np.linalg.solve(precision, x.T @ y), 1 / np.sqrt(np.diag(precision))


def fitted(model, method="advi", n=4000, **options):
    return vi.fit(n, method, model=model, random_seed=1, progressbar=False, **options)


@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_a_rate_that_is_too_large_for_batches_is_unreliable(of_batches, method):
    """Sds are 0.007, so steps of 0.03 keep the means moving by several of them."""
    model, mean, sd = of_batches
    approx = fitted(model, method, obj_optimizer=vi.adam(0.03))
    assert np.max(np.abs(approx.mean.eval() - mean) / sd) > 2
    assert approx.status.ending == "unreliable"
    assert "draws of q move by" in approx.status.message
    assert "beta[" in approx.status.message


def test_what_has_settled_says_nothing(of_batches):
    model, mean, sd = of_batches
    for options in ({}, {"obj_optimizer": vi.adam(1e-4), "start": {"beta": mean}}):
        approx = fitted(model, start_sigma={"beta": 0.007}, **options)
        assert np.max(np.abs(approx.mean.eval() - mean) / sd) < 0.5
        assert approx.status.ending == "max_steps"
        assert "move" not in approx.status.message


def test_the_look_changes_nothing(of_batches):
    """Steps after it are those of one longer run, losses and all."""
    model = of_batches[0]
    whole = fitted(model, obj_optimizer=vi.adam(0.03))
    parts = fitted(model, n=1000, obj_optimizer=vi.adam(0.03))
    assert "move by" in parts.status.message
    parts.refine(3000, progressbar=False)
    np.testing.assert_array_equal(parts.hist, whole.hist)
    np.testing.assert_array_equal(parts.mean.eval(), whole.mean.eval())
    assert parts.status == whole.status


def test_a_movement_of_known_size():
    """Plain descent towards a standard normal: the mean shrinks by a thousandth a step."""
    approx = vi.fit(
        lambda x: -0.5 * jnp.sum(x**2),
        1000,
        "advi",
        init=np.array([100.0, 0.0]),
        start_sigma={"x": 1.0},
        random_seed=1,
        progressbar=False,
        obj_optimizer=optax.sgd(1e-3),
    )
    now = approx.mean.eval()[0]
    moved = now * np.sqrt(np.mean((1 - 0.999 ** np.arange(5, 51, 5)) ** 2)) / approx.std.eval()[0]
    # in sds of 32 draws, each of which varies by an eighth
    found = float(approx.status.message.partition("move by ")[2].split()[0])
    assert moved / 1.5 < found < moved * 1.5
    assert "(x[0] the most)" in approx.status.message


@pytest.mark.parametrize(
    ("rate", "moves"),
    [
        (lambda t: 0.01 * (1 - t / 2000), False),  # below 0 beyond, and up the hill again
        (lambda t: 0.01 * (1 - t / 2000) ** 0.9, False),  # NaN beyond
        (lambda t: 0.01 * (t > 1500), True),
    ],
    ids=["a line", "a power", "large at the end"],
)
def test_rates_beyond_the_steps_they_were_planned_for_do_not_count(rate, moves):
    """A normal of sd 0.007: with a line, as it is written by hand, draws moved by 1.7 sds."""
    approx = vi.fit(
        lambda x: -0.5 * jnp.sum((x / 0.007) ** 2),
        2000,
        "fullrank_advi",
        init=np.zeros(3),
        start_sigma={"x": 0.007},
        random_seed=1,
        progressbar=False,
        obj_optimizer=optax.adam(rate),
    )
    assert ("draws of q move by" in approx.status.message) is moves


def looked(monkeypatch):
    """The numbers of steps that looks will have taken."""
    found = []
    ahead = OneRun.ahead
    monkeypatch.setattr(
        OneRun, "ahead", lambda run, *steps: found.append(steps) or ahead(run, *steps)
    )
    return found


def test_who_goes_on_by_few_steps_waits_for_few(of_batches, monkeypatch):
    found = looked(monkeypatch)
    approx = fitted(of_batches[0], n=1000, obj_optimizer=vi.adam(0.03))
    for n in (10, 80, 4000):
        approx.refine(n, progressbar=False)
    assert found == [(5, 10), (2, 10), (25, 10)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("a factor is singular")])
def test_what_is_raised_in_the_look_undoes_no_step(of_batches, monkeypatch, error):
    def ahead(run, *steps):
        raise error

    monkeypatch.setattr(OneRun, "ahead", ahead)
    approx = fitted(of_batches[0], n=400, obj_optimizer=vi.adam(0.03))
    assert approx.status.ending == "max_steps"
    assert len(approx.hist) == 400


def test_data_that_are_set_after_the_last_step_are_those_of_the_next_one():
    """The look is one at the last step's data; whether others would do is asked by the next fit."""
    with pm.Model() as model:
        x = pm.Data("x", np.ones(3))
        pm.Normal("y", pm.Normal("mu", shape=x.shape), 1.0, observed=np.ones(3))

    def longer(approx, losses, i):
        if i == 400:
            model["x"].set_value(np.ones(4))

    approx = fitted(model, n=400, obj_optimizer=vi.adam(0.03), callbacks=[longer])
    assert approx.status.ending == "max_steps"
