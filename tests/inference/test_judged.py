"""``diagnose=`` of a fit: the verdict at its end."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal

import vi

QUIET = {"random_seed": 1, "progressbar": False}
FEW = {"draws": 100, "chains": 0}


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("method", "n"), [("advi", 20), ("dadvi", 20), ("laplace", 20), ("pathfinder", 20)]
)
def test_every_method_is_judged_when_asked(method, n):
    approx = vi.fit(n, method, conjugate_normal().model, **QUIET, diagnose=FEW)
    assert approx.diagnosis.skipped == ("short chains: chains=0",)
    assert f"; verdict: {approx.diagnosis.verdict}" in str(approx.status)
    assert approx.diagnosis.to_dataset().identical(approx.diagnose(**FEW).to_dataset())


def test_true_is_all_of_it_and_nothing_is_done_without():
    inference = vi.ADVI(model=conjugate_normal().model, random_seed=1)
    assert inference.fit(20, progressbar=False).diagnosis is None
    assert inference.fit(0, progressbar=False, diagnose=True).diagnosis is None
    assert inference.fit(20, progressbar=False, diagnose=True).diagnosis.gradients > 0


def test_a_failing_diagnosis_does_not_lose_the_fit(monkeypatch, caplog):
    def fails(self, **arguments):
        raise ValueError("no")

    monkeypatch.setattr(vi.Approximation, "diagnose", fails)
    approx = vi.fit(20, "advi", conjugate_normal().model, **QUIET, diagnose=True)
    assert approx.diagnosis is None
    assert "its diagnosis failed: ValueError: no" in caplog.text


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ("yes", TypeError, "diagnose='yes'"),
        ({"draw": 5}, TypeError, "'draw' is no argument"),
        ({"chains": 2}, ValueError, "chains=2"),
        ({"rows": "few"}, ValueError, "rows='few'"),
        ({"random_seed": -1}, ValueError, "random_seed=-1"),
    ],
)
def test_bad_arguments_are_refused_before_the_fit(given, error, match):
    with pytest.raises(error, match=match):
        vi.fit(20, "advi", conjugate_normal().model, **QUIET, diagnose=given)


def test_a_streamed_fit_is_judged_when_asked():
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(4))
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=x, shape=x.shape)
    rows = np.random.default_rng(1).normal(size=20)
    stream = vi.data.Stream(vi.data.ArraySource({"x": rows}), batch_size=4)
    approx = vi.fit(20, "advi", model, **QUIET, data=stream, diagnose=FEW)
    assert approx.diagnosis.skipped[0] == "short chains: chains=0"
