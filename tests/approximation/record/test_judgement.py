"""A verdict is held as long as the parameters are those that were judged."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from problems import conjugate_normal

import vi

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
