"""A verdict is held as long as the parameters are those that were judged."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal

import vi
from vi.approximation.results.other_fits import restarts_of

QUIET = {"progressbar": False}
FEW = {"draws": 100, "chains": 0}


@pytest.fixture(scope="module")
def fitted() -> vi.Approximation:
    return vi.fit(20, "advi", conjugate_normal().model, random_seed=1, **QUIET)


@pytest.fixture
def judged(fitted: vi.Approximation) -> vi.Approximation:
    approx = copy.deepcopy(fitted)
    approx.diagnose(**FEW)
    return approx


def test_the_last_verdict_is_held_and_told(fitted):
    approx = copy.deepcopy(fitted)
    assert approx.diagnosis is None
    assert "verdict" not in approx.status.message
    found = approx.diagnose(**FEW)
    assert approx.diagnosis is found
    for text in (approx.status.message, repr(approx), approx.settings()["status_message"]):
        assert f"verdict: {found.in_short}" in text
    assert approx.diagnose(**FEW, random_seed=5) is approx.diagnosis
    assert approx.record.status == fitted.record.status


CHANGES = {
    "refine": lambda approx: approx.refine(1, **QUIET),
    "fit": lambda approx: vi.KLqp(approx).fit(1, **QUIET),
    "fit(0)": lambda approx: vi.KLqp(approx).fit(0, **QUIET),
    "set_params": lambda approx: approx.set_params({"mu": [0.0]}),
    "shared": lambda approx: approx.shared_params["mu"].set_value(np.array([3.0])),
    "restart": lambda approx: approx.restart(),
    "change": lambda approx: approx.change(lambda fit: replace(fit, start=dict(fit.start))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_parameters_have_no_verdict(judged, change):
    CHANGES[change](judged)
    assert judged.diagnosis is None
    assert "verdict" not in judged.status.message


def test_what_leaves_the_parameters_leaves_the_verdict(judged):
    found = judged.diagnosis
    judged.refine(0, **QUIET)
    judged.sample(3)
    with pytest.raises(ValueError, match="draws"):
        judged.diagnose(draws=1)
    assert judged.diagnosis is found
    for twin in (copy.copy(judged), copy.deepcopy(judged), pickle.loads(pickle.dumps(judged))):
        assert twin.diagnosis.in_short == found.in_short
        assert twin.diagnosis.table.identical(found.table)


@pytest.fixture(scope="module")
def of_data() -> vi.Approximation:
    with pm.Model() as model:
        x = pm.Data("x", [1.0, 3.0])
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Normal("y", mu, 1.0, observed=x)
    return vi.fit(method="laplace", model=model, random_seed=1)


def test_a_verdict_is_on_its_data(of_data, tmp_path):
    """With others there is none, and with the same again, in another array, there it is."""
    found = of_data.diagnose(**FEW)
    with of_data.model:
        pm.set_data({"x": [30.0, 50.0]})
    of_data.save(tmp_path / "fit")
    twins = [of_data, copy.deepcopy(of_data), pickle.loads(pickle.dumps(of_data))]
    twins.append(vi.load(tmp_path / "fit", model=of_data.model))
    for twin in twins:
        assert twin.diagnosis is None
        for text in (repr(twin), twin.status.message, twin.settings()["status_message"]):
            assert f"as that of before is of another x ({found.verdict}); approx.diagnose()" in text
        assert "no verdict on the present data: the last is of another x" in twin._repr_html_()
        assert "diagnosis" not in twin.sample(5).children
    with of_data.model:
        pm.set_data({"x": [1.0, 3.0]})
    for twin in (of_data, twins[-1]):
        assert twin.diagnosis.in_short == found.in_short
        assert f"verdict: {found.in_short}" in twin.status.message
        assert "diagnosis" in twin.sample(5).children


def test_a_verdict_on_new_data_takes_the_place_of_the_old_one(of_data):
    """Of 30 and 50 the mean is 80 / 3, 25 posterior sds from q."""
    assert of_data.diagnose(**FEW).verdict != "do not use"
    with of_data.model:
        pm.set_data({"x": [30.0, 50.0]})
        assert of_data.diagnose(draws=100).verdict == "do not use"
        assert of_data.diagnosis.verdict == "do not use"
        pm.set_data({"x": [1.0, 3.0]})
    assert of_data.diagnosis is None


def test_runs_of_other_data_are_no_rivals_of_a_fit():
    """By how much a run is better holds of the data of that fit."""
    with pm.Model() as model:
        x = pm.Data("x", 6.0)
        pm.NormalMixture("mu", [0.5, 0.5], [-x, x], 1.0)
    approx = vi.fit(500, "advi", model, random_seed=2, restarts=4, **QUIET)
    before = [found.name for found in restarts_of(approx.record, 0.0, approx.target())]
    assert len(before) == 3
    with model:
        pm.set_data({"x": 0.0})
    assert restarts_of(approx.record, 0.0, approx.target()) == []


def test_a_callback_is_told_and_nothing_is_kept(fitted):
    approx, told = copy.deepcopy(fitted), []

    def look(approx, losses, i):
        told.append(approx.diagnose(**FEW).verdict)
        raise StopIteration

    approx.refine(5, callbacks=[look], **QUIET)
    assert len(told) == 1
    assert approx.diagnosis is None


def test_draws_hold_the_verdict(judged, tmp_path):
    draws = judged.sample(5, random_seed=1)
    group = draws["diagnosis"]
    assert group.attrs["verdict"] == judged.diagnosis.verdict
    assert group["mean"].dims == ("unconstrained",)
    draws.to_netcdf(tmp_path / "draws.nc")
    assert "diagnosis" not in vi.MeanField(model=judged.model).sample(5).children
