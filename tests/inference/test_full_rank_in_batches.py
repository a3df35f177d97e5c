"""A dense covariance learnt from batches: the noise of a batch does not carry it away."""

import numpy as np
import pymc as pm
import pytest

import vi

ROWS, COLUMNS, BATCH = 8_000, 20, 200


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.few(1)
def test_means_and_sds_of_many_columns(backend):
    """Against the posterior of each column, normal to 1 / rows: the targets are 0.3 and 0.1 sds.

    With one draw a step the thousands of entries off the diagonal walk, and means end hundreds of
    sds away.
    """
    rng = np.random.default_rng(0)
    y = rng.normal(
        rng.normal(size=COLUMNS), np.exp(0.3 * rng.normal(size=COLUMNS)), size=(ROWS, COLUMNS)
    )
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0, shape=COLUMNS)
        sigma = pm.HalfNormal("sigma", 5.0, shape=COLUMNS)
        rows = vi.Minibatch(y, batch_size=BATCH)
        pm.Normal("y", mu, sigma, observed=rows, total_size=(ROWS, COLUMNS))
    approx = vi.fit(
        10_000, "fullrank_advi", model, random_seed=1, progressbar=False, backend=backend
    )
    assert approx.settings()["antithetic"] is True
    centre = np.concatenate([y.mean(axis=0), np.log(y.std(axis=0))])
    sd = np.concatenate([y.std(axis=0) / np.sqrt(ROWS), np.full(COLUMNS, 1 / np.sqrt(2 * ROWS))])
    assert np.abs((approx.mean.eval() - centre) / sd).max() < 0.3
    assert np.abs(np.log(approx.std.eval() / sd)).max() < 0.1


@pytest.mark.parametrize(("draws", "pairs"), [(None, True), (4, True), (3, False), (1, False)])
def test_pairs_where_draws_are_even(draws, pairs):
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1.0, shape=2)
        rows = vi.Minibatch(np.zeros((50, 2)), batch_size=10)
        pm.Normal("y", mu, 1.0, observed=rows, total_size=50)
    approx = vi.fit(0, "fullrank_advi", model, random_seed=1, progressbar=False, obj_n_mc=draws)
    assert approx.settings()["antithetic"] is pairs
    assert approx.settings()["draws_per_step"] == (draws or 2)


@pytest.mark.parametrize(
    ("method", "draws"),
    [("lowrank_advi", 8), ("structured_advi", 2), ("noncentred_advi", 8), ("advi", 1)],
)
def test_pairs_for_all_that_have_more_than_a_diagonal(method, draws):
    """Without pairs non-centred fits in batches ended nats lower, structured ones of a walk 28."""
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, pm.HalfNormal("tau"), shape=2)
        rows = vi.Minibatch(np.zeros((50, 2)), batch_size=10)
        pm.Normal("y", mu, 1.0, observed=rows, total_size=50)
    approx = vi.fit(0, method, model, random_seed=1, progressbar=False)
    assert approx.settings()["antithetic"] is (method != "advi")
    assert approx.settings()["draws_per_step"] == draws


def test_no_pairs_where_a_step_sees_all_rows():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", 0.0, 1.0), 1.0, observed=np.zeros(5))
    approx = vi.fit(0, "fullrank_advi", model, random_seed=1, progressbar=False)
    assert approx.settings()["antithetic"] is False
    assert approx.settings()["draws_per_step"] == 1


def test_pairs_need_symmetric_noise():
    with pytest.raises(ValueError, match=r"antithetic=True\) takes an even n_draws"):
        vi.algorithms.Gradient(
            vi.families.FullRank(), vi.scale_free_adam(), n_draws=3, antithetic=True
        )
