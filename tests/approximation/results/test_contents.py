"""What draws hold by default, where rows are many."""

from __future__ import annotations

import sys

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.results import contents

X = np.linspace(-1.0, 1.0, 40)
QUIET = {"progressbar": False, "random_seed": 1}


@pytest.fixture(scope="module")
def approx():
    with pm.Model() as model:
        x, y = vi.Minibatch(X, 2 * X, batch_size=5)
        slope = pm.Normal("slope")
        pm.Deterministic("twice", 2 * slope)
        pm.Deterministic("line", slope * x)
        pm.Normal("y", slope * x, 1.0, observed=y, total_size=40)
    return vi.fit(20, "advi", model, **QUIET)


def test_small_data_are_all_there(approx):
    tree = approx.sample(7, random_seed=1)
    assert {"log_p", "log_q"} == set(tree["sample_stats"].data_vars)
    assert tree["posterior"]["line"].shape == (1, 7, 40)
    assert tree["observed_data"]["y"].shape == (40,)
    assert "left_out" not in tree["posterior"].attrs


# 80 entries behind the minibatches: 7 draws of them are 560
@pytest.mark.parametrize(("most", "dear"), [(560, False), (559, True)])
def test_what_is_dear_is_left_out_and_named(approx, monkeypatch, caplog, most, dear):
    monkeypatch.setattr(contents, "MOST_ENTRIES", most)
    with caplog.at_level("INFO", "vi"):
        tree = approx.sample(7, random_seed=1)
    assert ("log_p" not in tree["sample_stats"]) == dear
    assert ("line" not in tree["posterior"]) == dear
    assert "twice" in tree["posterior"]
    assert tree["posterior"].attrs.get("left_out", []) == (["line", "log_p"] if dear else [])
    assert ("Left out of the draws" in caplog.text) == dear


def test_copies_of_large_data_are_left_out(approx, monkeypatch):
    monkeypatch.setattr(contents, "MOST_STORED", 79)
    tree = approx.sample(3, random_seed=1)
    assert tree["posterior"].attrs["left_out"] == ["data"]
    assert "observed_data" not in tree.children
    assert "line" in tree["posterior"]


def test_what_is_asked_for_is_there(approx, monkeypatch):
    monkeypatch.setattr(contents, "MOST_ENTRIES", 0)
    monkeypatch.setattr(contents, "MOST_STORED", 0)
    tree = approx.sample(3, random_seed=1, log_prob=True, rows=True, store_data=True)
    assert "log_p" in tree["sample_stats"]
    assert {"line", "twice", "slope"} == set(tree["posterior"].data_vars)
    assert "observed_data" in tree.children
    assert "left_out" not in tree["posterior"].attrs
    plain = approx.sample(3, random_seed=1, log_prob=False, rows=False, store_data=False)
    assert "sample_stats" not in plain.children
    np.testing.assert_array_equal(plain["posterior"]["slope"], tree["posterior"]["slope"])
    assert plain["posterior"].attrs["left_out"] == ["line"]


def test_draws_without_rows_need_no_other_target(approx, monkeypatch):
    """One of all rows would be compiled, and its gradient looked at on all data."""
    monkeypatch.setattr(contents, "MOST_ENTRIES", 0)
    before = approx.target(training=True)

    def refuse(*arguments, **options):
        raise AssertionError("a target was built")

    monkeypatch.setattr(sys.modules["vi.targets.from_pymc"], "_build", refuse)
    approx.sample(3)
    approx.summary(draws=10)
    assert approx.target(training=True) is before


@pytest.fixture(scope="module")
def of_data():
    """Rows in the place of the model's own, which are seven, and a number in the place of 1."""
    with pm.Model() as model:
        x, y = pm.Data("x", X[:7]), pm.Data("y_data", X[:7])
        power = pm.Data("power", 1.0)
        slope = pm.Normal("slope")
        pm.Deterministic("line", slope * x)
        pm.Deterministic("times", slope * power)
        pm.Normal("y", slope * x * power, 1.0, observed=y)
    return vi.fit(
        20,
        "advi",
        model,
        data={"x": X, "y_data": 2 * X},
        batch_size=5,
        more_replacements={power: 3.0},
        **QUIET,
    )


@pytest.mark.parametrize("dear", [False, True])
@pytest.mark.parametrize("rows", [None, False, True])
def test_rows_in_the_place_of_data(of_data, monkeypatch, dear, rows):
    """Others are what they are in the model: what was exchanged was so for training only."""
    if dear:
        monkeypatch.setattr(contents, "MOST_ENTRIES", 0)
    posterior = of_data.sample(3, random_seed=1, rows=rows)["posterior"]
    np.testing.assert_array_equal(posterior["times"], posterior["slope"])
    if rows or (rows is None and not dear):
        expected = posterior["slope"].values[..., None] * X
        np.testing.assert_allclose(posterior["line"], expected)
    else:
        assert "line" not in posterior


def test_a_name_is_asked_for(of_data, monkeypatch):
    monkeypatch.setattr(contents, "MOST_ENTRIES", 0)
    posterior = of_data.sample(3, random_seed=1, var_names=["line"])["posterior"]
    assert posterior["line"].shape == (1, 3, 40)
    assert posterior.attrs["left_out"] == ["log_p"]
    assert len(of_data.summary(10, var_names=["line"])) == 40
    without = of_data.sample(3, random_seed=1, var_names=["slope"])["posterior"]
    assert without.attrs["left_out"] == ["log_p"]


def test_a_model_without_minibatches_has_no_limit(monkeypatch):
    monkeypatch.setattr(contents, "MOST_ENTRIES", 0)
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=X)
    tree = vi.fit(5, "advi", model, **QUIET).sample(3)
    assert "log_p" in tree["sample_stats"]
    assert "observed_data" in tree.children
