"""Whether q has settled where the last iterate is reported: by steps that are not made."""

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytest

import vi

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
