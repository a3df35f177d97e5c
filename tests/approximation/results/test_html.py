"""What a notebook shows of approximations, and of what belongs to them."""

from xml.etree import ElementTree as ET

import numpy as np
import pymc as pm
import pytest
from problems import correlated_gaussian

import vi


@pytest.fixture(scope="module")
def model():
    with pm.Model(coords={"group": ["a", "b", "c"]}) as model:
        shares = pm.Dirichlet("shares", np.ones(3), dims="group")
        scale = pm.HalfNormal("<scale>")
        pm.Normal("y", shares.sum() * scale, 1.0, observed=[1.0, 2.0])
    return model


def text(thing):
    return " ".join(ET.fromstring(f"<div>{thing._repr_html_()}</div>").itertext())


def test_before_a_fit(model):
    approx = vi.MeanField(model=model, random_seed=1)
    shown = text(approx)
    assert "mean_field approximation, D = 3" in shown
    assert "initialised at step 0" in shown
    assert "shares 3 group simplex" in shown
    assert "<scale> scalar log" in shown
    assert "svg" not in approx._repr_html_()
    assert "ADVI" in text(vi.ADVI(model=model))
    assert "backend jax precision float64" in text(approx.target())


def test_after_a_fit_and_its_verdict():
    """Of what is compiled for `test_diagnose.py`."""
    approx = vi.fit(method="laplace", model=correlated_gaussian().model, random_seed=1)
    found = approx.diagnose(starts=0)
    assert f"{found.verdict}: {found.why}" in text(approx)
    assert approx._repr_html_().count("polyline") == 1
    assert f"{approx.status.ending} at step" in text(approx.status)
    shown = text(found)
    assert shown.lstrip().startswith(found.verdict)
    assert f"{found.pareto_k:.2f}" in shown
    worst = np.abs(found.table["weights_sd"]).to_series().idxmax()
    assert worst in shown


def test_groups(model):
    shown = text(vi.Group([model["shares"]], family="full_rank", frozen=True, name="w"))
    assert "Group w (frozen)" in shown
    assert "variables shares" in shown
    assert "the rest" in text(vi.Group(None))


def test_it_changes_nothing(model):
    approx = vi.MeanField(model=model, random_seed=1)
    record = approx.record
    approx._repr_html_()
    assert approx.record is record
