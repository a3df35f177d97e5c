"""Labels that PyMC takes and xarray does not: draws have their text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import vi


class Thing:
    """Neither sortable nor a number or text."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


PAIRS = [("a", 1), ("a", 2), ("b", 1)]
# labels: what draws have
LABELS = {
    "tuples": (PAIRS, ["a, 1", "a, 2", "b, 1"]),
    "multi_index": (pd.MultiIndex.from_tuples(PAIRS, names=["p", "q"]), ["a, 1", "a, 2", "b, 1"]),
    "sets": ([{1}, {2}, {3}], ["{1}", "{2}", "{3}"]),
    "objects": ([Thing("x"), Thing("y"), Thing("z")], ["x", "y", "z"]),
    "texts": (["x", "y", "z"], ["x", "y", "z"]),
    "mixed": ([1, "a", None], [1, "a", None]),
    "repeated": (["x", "x", "y"], ["x", "x", "y"]),
    "dates": (pd.date_range("2020", periods=3), list(pd.date_range("2020", periods=3))),
    "kinds": (pd.Categorical(["x", "y", "z"]), ["x", "y", "z"]),
}
CHANGED = {"tuples", "multi_index", "sets", "objects"}


def approximation(coords, dim):
    with pm.Model(coords=coords) as model:
        x = pm.Normal("x", dims=dim)
        pm.Deterministic("twice", 2 * x, dims=dim)
        pm.Normal("y", x, 1.0, observed=np.zeros(3), dims=dim)
    return vi.MeanField(model=model, random_seed=1)


@pytest.mark.few(3)
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


@pytest.mark.slow
def test_unconstrained_values_have_the_dims_of_their_variables():
    """But where the transform changes the length: a simplex has an entry less."""
    coords = {"g": ["a", "b", "c"], "k": ["x", "y", "z"]}
    with pm.Model(coords=coords) as model:
        pm.HalfNormal("s", 1.0, dims="g")
        pm.Dirichlet("p", np.ones((3, 3)), dims=("g", "k"))
    model.add_coord("n", length=3)
    with model:
        pm.Dirichlet("q", np.ones(3), dims="n")
    approx = vi.MeanField(model=model, random_seed=1)
    posterior = approx.sample(3, include_transformed=True)["posterior"]
    assert posterior["s_log__"].dims == ("chain", "draw", "g")
    assert list(posterior["g"].values) == ["a", "b", "c"]
    assert posterior["p_simplex__"].dims[:3] == ("chain", "draw", "g")
    assert posterior["p_simplex__"].shape == (1, 3, 3, 2)
    assert posterior["q_simplex__"].shape == (1, 3, 2)
    assert posterior["q"].dims == ("chain", "draw", "n")


def test_the_mode_has_dims_and_labels():
    with pm.Model(coords={"g": ["a", "b", "c"]}) as model:
        pm.Normal("x", np.arange(3.0), 1.0, dims="g")
        pm.Gamma("s", 3.0, 2.0)
    point = vi.find_map(model).to_dataset()
    assert float(point["x"].sel(g="c")) == pytest.approx(2.0, abs=1e-4)
    assert point["s"].dims == ()
    assert float(point["s"]) == pytest.approx(1.0, abs=1e-4)
