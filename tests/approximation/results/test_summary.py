"""The table of draws: the numbers and names of ArviZ's, in blocks that fit into memory."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.results import summary
from vi.approximation.results.weighted_draws import with_weights


@pytest.fixture(scope="module")
def approx():
    with pm.Model(coords={"city": ["a", "b", "c"]}) as model:
        x = pm.Normal("x", dims="city")
        pm.LogNormal("s")
        pm.Deterministic("table", x[:, None] * np.arange(4.0))
        pm.Deterministic("positive", x > 0, dims="city")
        pm.Deterministic("nothing", x[:0])
    return vi.MeanField(model=model, random_seed=1)


def test_the_numbers_are_those_of_arviz(approx):
    table = approx.summary(200, random_seed=1)
    draws = approx.sample(200, random_seed=1)
    posterior = draws["posterior"].to_dataset().drop_vars("nothing")
    draws["posterior"] = posterior.assign(positive=posterior["positive"].astype(float))
    options = {"kind": "stats", "ci_prob": 0.9, "ci_kind": "eti", "round_to": "none"}
    theirs = arviz_stats.summary(draws, **options)
    assert list(table.index) == list(theirs.index)
    np.testing.assert_allclose(table["mean"], theirs["mean"], rtol=1e-12)
    np.testing.assert_allclose(table["sd"], theirs["sd"], rtol=1e-12)
    np.testing.assert_allclose(table["q5"], theirs["eti90_lb"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(table["q95"], theirs["eti90_ub"], rtol=1e-6, atol=1e-12)


def test_blocks_do_not_show(approx, monkeypatch):
    whole = approx.summary(50, random_seed=1)
    monkeypatch.setattr(summary, "BLOCK", 1)
    monkeypatch.setattr(summary, "ENTRIES", 60)
    drawn = []
    own = summary.sample
    monkeypatch.setattr(
        summary, "sample", lambda *a, **k: drawn.append(k.get("var_names")) or own(*a, **k)
    )
    # NumPy sums 50 numbers in another order where they lie apart: roundings of 1e-16
    np.testing.assert_allclose(approx.summary(50, random_seed=1), whole, rtol=1e-13, atol=1e-15)
    assert drawn == [None, ["x"], ["s"], ["table"], ["positive"]]


def test_names_and_quantiles(approx):
    table = approx.summary(100, var_names=["s", "x"], quantiles=(0.025, 0.5, 0.975))
    assert list(table.index) == ["s", "x[a]", "x[b]", "x[c]"]
    assert list(table.columns) == ["mean", "sd", "q2.5", "median", "q97.5"]
    assert list(approx.summary(10, var_names=["~table", "~positive"]).index)[-1] == "s"


@pytest.mark.parametrize("quantiles", [(0.5, 1.5), (-0.1,), 0.5, [[0.5]], (np.nan,)])
def test_what_is_no_quantile(approx, quantiles):
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        approx.summary(10, quantiles=quantiles)


def test_nothing_to_show(approx):
    with pytest.raises(ValueError, match="leaves no variable"):
        approx.summary(10, var_names=["~x", "~s", "~table", "~positive"])
    with pytest.raises(ValueError, match="leaves no variable"):
        approx.summary(10, var_names=["nothing"])


@pytest.mark.parametrize("names", [3, [3], ("x", None)])
def test_names_that_draws_cannot_have(approx, names):
    for draw in (approx.sample, approx.summary):
        with pytest.raises(TypeError, match="give a list of names"):
            draw(3, var_names=names)
        with pytest.raises(ValueError, match="var_names is empty"):
            draw(3, var_names=[])


def test_draws_of_some_variables(approx):
    draws = approx.sample(20, random_seed=1, var_names=["table"])
    assert list(draws["posterior"]) == ["table"]
    every = approx.sample(20, random_seed=1)["posterior"]["table"]
    np.testing.assert_array_equal(draws["posterior"]["table"], every)
    with pytest.raises(ValueError, match="var_names has 'z'; the draws have 'x', 's'"):
        approx.sample(3, var_names=["z"])


def test_weights_are_those_of_the_draws_behind_the_table(caplog):
    """Those of some 2,000 draws have a tail that many more have not: no table is made of them."""
    with pm.Model() as model:
        pm.HalfCauchy("x", 1.0)
    approx = vi.fit(method="laplace", model=model, random_seed=1)
    approx.change(with_weights)
    table = approx.summary(4000)
    assert "cannot be relied on" not in caplog.text
    # the median of a half-Cauchy is its scale; its density there is 1 / pi
    noise = 5 * np.pi * np.sqrt(0.25 / 4000)
    assert float(table["median"].iloc[0]) == pytest.approx(1.0, abs=noise)
    few = approx.sample(2, random_seed=0)["posterior"].attrs["pareto_k"]
    assert few > 0.7 > approx.sample(4000, random_seed=0)["posterior"].attrs["pareto_k"]
    assert "Pareto k of 2000 draws is" in caplog.text
