"""pymc-marketing and pymc-extras: their own calls, their predictions, and the page's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from pages import check_program

import vi

mmm = pytest.importorskip("pymc_marketing.mmm")
pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.neighbour


@pytest.fixture(scope="module")
def media():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "date": pd.date_range("2022-01-03", periods=40, freq="W-MON"),
            "tv": rng.gamma(2.0, 1.0, 40),
            "radio": rng.gamma(2.0, 1.0, 40),
        }
    )
    y = 2.0 + 0.5 * X["tv"] + rng.normal(0.0, 0.1, 40)
    return X, y.rename("y")


def model():
    return mmm.MMM(
        date_column="date",
        channel_columns=["tv", "radio"],
        adstock=mmm.GeometricAdstock(l_max=4),
        saturation=mmm.LogisticSaturation(),
    )


@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_a_media_mix_is_fitted_and_predicts(media, method):
    mix, (X, y) = model(), media
    with vi.as_pm_fit() as fits:
        idata = mix.fit(X, y, method=method, n=30, draws=40, random_seed=1, progressbar=False)
    assert fits == [mix.approx]
    assert isinstance(mix.approx, vi.Approximation)
    assert mix.approx.family.short_name == {"advi": "mean_field"}.get(method, "full_rank")
    assert idata["posterior"].sizes["draw"] == 40
    assert len(mix.approx.hist) == 30
    predicted = mix.sample_posterior_predictive(X, random_seed=1, progressbar=False)
    assert np.isfinite(predicted["y"]).all()
    assert predicted["y"].sizes["date"] == 40


def test_its_old_call_and_a_method_of_ours(media):
    mix, (X, y) = model(), media
    with vi.as_pm_fit("laplace") as fits, pytest.warns(FutureWarning, match="approximate_fit"):
        mix.approximate_fit(X, y, progressbar=False, random_seed=1, fit_kwargs={"n": 200})
    assert fits[0].settings()["algorithm"] == "laplace"
    assert mix.fit_result.sizes["draw"] == 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mmm", "clv"])
def test_the_page(name):
    check_program(name, "pymc-marketing")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["marginal", "statespace"])
def test_the_page_on_pymc_extras(name):
    check_program(name, "pymc-extras")
