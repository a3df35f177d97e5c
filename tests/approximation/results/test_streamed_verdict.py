"""The verdict on streamed rows: by one pass that of all rows in memory, by some of them less."""

from __future__ import annotations

import importlib
import pickle

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target_of_every_row
from vi.data import ArraySource, DataError, LoaderSource, Stream

PASSES = importlib.import_module("vi.approximation.results.passes")
TARGET = importlib.import_module("vi.targets.backends.streamed_target")
N, B = 2003, 50
CORRELATION = 0.6
NUMBERS = ("mean", "sd", "weights_mean", "weights_sd", "wide_mean", "wide_sd", "slope_mean")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 2)) @ np.linalg.cholesky([[1, CORRELATION], [CORRELATION, 1]]).T
    return {"x": x, "y": x @ [1.0, -2.0] + rng.normal(size=N)}


def model_of(rows, n=30):
    with pm.Model() as model:
        x, y = pm.Data("x", rows["x"][:n]), pm.Data("y", rows["y"][:n])
        beta = pm.Normal("beta", 0.0, 10.0, shape=2)
        pm.Normal("answer", (x * beta).sum(axis=-1), 1.0, observed=y, shape=y.shape)
    return model


def exact(rows):
    """Mean, covariance and log evidence of the regression with known noise."""
    x, y = rows["x"], rows["y"]
    precision = x.T @ x + np.eye(2) / 100
    cov = np.linalg.inv(precision)
    mean = cov @ x.T @ y
    quadratic = y @ y - mean @ precision @ mean
    log_det = np.linalg.slogdet(precision)[1] + 2 * np.log(100.0)
    return mean, cov, -0.5 * (N * np.log(2 * np.pi) + quadratic + log_det)


def streamed_fit(rows, family="fullrank_advi", *, steps=2, data=None, **options):
    """A fit of a few steps on streamed rows; q is set by the tests."""
    data = Stream(ArraySource(rows, chunk_rows=100), B) if data is None else data
    return vi.fit(
        steps, family, model_of(rows), data=data, random_seed=1, progressbar=False, **options
    )


def at_the_posterior(rows, approx):
    mean, cov, _ = exact(rows)
    if "rho" in approx.reported:
        sd = 1 / np.sqrt(np.diag(np.linalg.inv(cov)))
        return approx.set_params({"mu": mean, "rho": np.log(np.expm1(sd))})
    root = np.linalg.cholesky(cov)
    np.fill_diagonal(root, np.log(np.expm1(np.diag(root))))
    return approx.set_params({"mu": mean, "L_tril": root[np.tril_indices(2)]})


@pytest.fixture(scope="module")
def right(rows):
    return at_the_posterior(rows, streamed_fit(rows))


def test_the_posterior_itself_is_good(rows, right):
    found = right.diagnose(starts=0)
    assert found.verdict == "good"
    # q is p, so that every draw's log p - log q is the log evidence
    assert found.elbo == pytest.approx(exact(rows)[2], rel=1e-9)
    assert found.importance_ess == pytest.approx(2000, rel=1e-6)


def test_one_pass_says_what_all_rows_in_memory_say(rows, right, monkeypatch):
    """Blocks of 700 rows, the last of them shorter; the in-memory model has all rows at once."""
    monkeypatch.setattr(TARGET, "BLOCK_ROWS", 700)
    approx = streamed_fit(rows, "advi")
    at_the_posterior(rows, approx)
    in_memory = vi.MeanField(model=model_of(rows, N), random_seed=1).set_params(approx.reported)
    found = approx.diagnose(chains=0, rows="all")
    expected = in_memory.diagnose(chains=0)
    assert len(list(target_of_every_row(approx.record)._blocks())) == 3
    for name in NUMBERS[:-1]:
        np.testing.assert_allclose(found.table[name], expected.table[name], atol=1e-8)
    assert found.elbo == pytest.approx(expected.elbo, rel=1e-12)
    assert found.pareto_k == pytest.approx(expected.pareto_k, abs=1e-6)
    assert found.importance_ess == pytest.approx(expected.importance_ess, rel=1e-6)
    assert found.verdict == expected.verdict == "usable with importance resampling"
    # sds of mean field: those given the other, sqrt(1 - r^2) of the right ones
    factor = -0.5 * np.log(1 - CORRELATION**2)
    noise = 5 / np.sqrt(found.importance_ess)
    np.testing.assert_allclose(found.table["weights_sd"], factor, atol=noise + 0.02)


def test_chains_and_other_fits_are_passes_too(rows, right):
    found = right.diagnose(draws=100, chains=64, starts=1)
    assert not found.skipped
    assert found.modes.sizes["mode"] == 2
    assert found.verdict == "good"


def test_resampled_draws_are_the_posteriors(rows):
    """From the independent normals of mean field, by weights of all rows."""
    approx = at_the_posterior(rows, streamed_fit(rows, "advi"))
    draws = approx.sample(1000, random_seed=1, resample="psis")["posterior"]
    mean, cov, _ = exact(rows)
    beta = draws["beta"].to_numpy()[0]
    # a tenth of the 10,000 weighed draws and more are effective
    assert np.all(np.abs(beta.mean(axis=0) - mean) < 5 * np.sqrt(np.diag(cov) / 1000))
    correlation = np.corrcoef(beta.T)[0, 1]
    assert correlation == pytest.approx(
        cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), abs=5 / np.sqrt(1000)
    )
    assert draws.attrs["pareto_k"] < 0.7


def test_some_rows_never_make_a_fit_good(rows, right, monkeypatch):
    found = right.diagnose(rows="some")
    assert found.verdict == "do not use"
    assert "rows='all'" in found.advice
    assert "2,003 rows" in found.skipped[0]
    assert np.isnan(found.pareto_k)
    monkeypatch.setattr(TARGET, "BLOCK_ROWS", 20)
    other = at_the_posterior(rows, streamed_fit(rows))
    found = other.diagnose(rows="some", random_seed=3)
    assert "400 rows" in found.skipped[1]
    slope, error = found.table["slope_mean"], found.table["slope_error_mean"]
    # 400 of 2,003 rows know a mean to sqrt(N / n - 1) = 2 sds, as far as twenty pieces can say
    assert 1 < float(error.max()) < 4
    assert float(abs(slope / error).max()) < 5
    assert abs(found.elbo - exact(rows)[2]) < 5 * found.elbo_error
    assert other.diagnose(rows="some", random_seed=3).table.identical(found.table)


def test_some_rows_see_that_a_fit_has_not_arrived(rows, monkeypatch):
    monkeypatch.setattr(TARGET, "BLOCK_ROWS", 20)
    approx = streamed_fit(rows, "advi")
    sd = np.sqrt(np.diag(exact(rows)[1]))
    at_the_posterior(rows, approx).set_params({"mu": exact(rows)[0] + 100 * sd})
    found = approx.diagnose(rows="some")
    assert found.verdict == "do not use"
    assert found.why.startswith("not converged, the ELBO rises along beta[")


def test_time_decides_what_is_read(rows, right, monkeypatch):
    """A pass that takes longer than a twentieth of the fit is not made unless it is asked for."""
    target = target_of_every_row(right.record)
    slow = TARGET.Pace(blocks=1000, read=0.1, value=0.0, score=0.0)
    monkeypatch.setattr(type(target), "pace", lambda self: slow)
    found = right.diagnose()
    assert np.isnan(found.pareto_k)
    assert "one pass of about 1.7 min" in found.skipped[0]
    asked = right.diagnose(rows="all")
    assert asked.verdict == "good"
    assert "no short chains have looked" in asked.why
    assert asked.skipped[0].startswith("short chains: up to 152 passes over the rows, about 4.2 h")
    monkeypatch.setattr(PASSES, "LEAST_SECONDS", 101.0)
    assert right.diagnose().verdict == "good"


def test_a_fit_keeps_how_long_its_steps_took(rows):
    approx = streamed_fit(rows)
    before = approx.record.seconds
    assert before > 0
    approx.refine(1, progressbar=False)
    assert approx.record.seconds > before


def test_rows_that_can_be_read_once_are_said(rows):
    """A generator is spent by the steps."""
    parts = ({name: values[i : i + 200] for name, values in rows.items()} for i in range(0, N, 200))
    approx = streamed_fit(
        rows,
        data=Stream(LoaderSource(parts, n_rows=N), B, shuffle=False, block_batches=5, read_ahead=1),
    )
    with pytest.raises(DataError, match="can be read only once"):
        approx.diagnose()


def test_a_pickle_says_that_its_rows_are_gone(right, caplog):
    copy = pickle.loads(pickle.dumps(right))
    copy.diagnose(draws=100, chains=0)
    assert "The verdict is on the model's present data" in caplog.text
