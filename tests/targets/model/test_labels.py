"""Labels that PyMC takes and xarray does not: draws have their text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pymc.distributions.transforms import ordered

import vi
from vi.targets.model.labels import axis_labels


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
    rows = list(approx.summary(draws=10).index)
    assert len(rows) == 6
    assert approx.layout.labels == rows[:3]


def test_coordinates_are_called_as_in_the_summary():
    """By the model's labels wherever they fit the unconstrained value, and by indices elsewhere."""
    coords = {"place": ["here", "there"], "year": [2024, 2025, 2026], "kind": list("abc")}
    with pm.Model(coords=coords) as model:
        pm.Normal("level")
        pm.HalfNormal("scale", dims=("place", "year"))
        pm.Normal("free", shape=2)
        pm.Dirichlet("share", np.ones(3), dims="kind")  # two numbers for three labels
        pm.Normal("ordered", [0, 1, 2], dims="kind", transform=ordered)
    approx = vi.MeanField(model=model, random_seed=1)
    labels = approx.layout.labels
    known = [label for label in labels if not label.startswith("share")]
    rows = approx.summary(10).index
    assert known == [row for row in rows if not row.startswith("share")]
    assert known[:3] == ["level", "scale[here, 2024]", "scale[here, 2025]"]
    assert [label for label in labels if label.startswith("share")] == ["share[0]", "share[1]"]


def test_labels_of_axes_are_made_when_they_are_asked_for(monkeypatch):
    made = []
    monkeypatch.setattr(
        "vi.targets.model.labels.labels_for_draws",
        lambda coords: made.append(1) or (dict(coords), []),
    )
    found = axis_labels(approximation({"g": ["x", "y", "z"]}, "g").model, {"x": (3,)})
    made.clear()
    (axis,) = found["x"]
    assert not made
    assert [axis[i] for i in range(len(axis))] == ["x", "y", "z"]
    assert len(made) == 1


def test_a_verdict_calls_coordinates_as_the_summary_does():
    with pm.Model(coords={"place": ["here", "there"]}) as model:
        cov = np.array([[1.0, 0.9], [0.9, 1.0]])
        pm.MvNormal("x", np.zeros(2), cov, dims="place")
    approx = vi.fit(method="dadvi", model=model, random_seed=1)
    found = approx.diagnose(500, chains=64)
    assert list(found.table["unconstrained"].to_numpy()) == ["x[here]", "x[there]"]
    assert "correlated: x[here] and x[there]" in found.why
    assert list(approx.cov_lr()["unconstrained"].to_numpy()) == list(approx.summary(10).index)


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
