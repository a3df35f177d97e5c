"""Labels that PyMC takes and xarray does not: draws have their text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import vi

PAIRS = [("a", 1), ("a", 2), ("b", 1)]
# labels: what draws have
LABELS = {
    "tuples": (PAIRS, ["a, 1", "a, 2", "b, 1"]),
    "multi_index": (pd.MultiIndex.from_tuples(PAIRS, names=["p", "q"]), ["a, 1", "a, 2", "b, 1"]),
    "sets": ([{1}, {2}, {3}], ["{1}", "{2}", "{3}"]),
    "texts": (["x", "y", "z"], ["x", "y", "z"]),
    "mixed": ([1, "a", None], [1, "a", None]),
    "repeated": (["x", "x", "y"], ["x", "x", "y"]),
    "dates": (pd.date_range("2020", periods=3), list(pd.date_range("2020", periods=3))),
    "kinds": (pd.Categorical(["x", "y", "z"]), ["x", "y", "z"]),
}
CHANGED = {"tuples", "multi_index", "sets"}


def approximation(coords, dim):
    with pm.Model(coords=coords) as model:
        x = pm.Normal("x", dims=dim)
        pm.Deterministic("twice", 2 * x, dims=dim)
        pm.Normal("y", x, 1.0, observed=np.zeros(3), dims=dim)
    return vi.MeanField(model=model, random_seed=1)


@pytest.mark.parametrize("name", LABELS)
def test_draws_have_labels(name, caplog):
    labels, expected = LABELS[name]
    with caplog.at_level("WARNING", "vi"):
        approx = approximation({"g": labels}, "g")
    assert ("labels of 'g'" in caplog.text) == (name in CHANGED)
    posterior = approx.sample(3)["posterior"]
    assert posterior["x"].dims == posterior["twice"].dims == ("chain", "draw", "g")
    expected = [np.datetime64(label) if name == "dates" else label for label in expected]
    assert list(posterior["g"].values) == expected
    assert len(approx.summary(draws=10)) == 6


def test_a_slash_in_the_name_of_a_dim(caplog):
    with caplog.at_level("WARNING", "vi"):
        approx = approximation({"city/street": ["x", "y", "z"]}, "city/street")
    assert "'city/street'" in caplog.text
    tree = approx.sample(3)
    assert tree["posterior"]["x"].dims == ("chain", "draw", "city.street")
    assert tree["observed_data"]["y"].dims == ("city.street",)
    assert list(tree["posterior"]["city.street"].values) == ["x", "y", "z"]


@pytest.mark.slow
def test_mcmc_draws_have_them_too():
    pytest.importorskip("blackjax")
    approx = approximation({"g": PAIRS}, "g")
    tree = approx.sample_mcmc(draws=3, chains=2, random_seed=1)
    assert list(tree["posterior"]["g"].values) == ["a, 1", "a, 2", "b, 1"]
