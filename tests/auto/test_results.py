"""What comes back from the method that chooses is as good as any: a normal, or chains' draws."""

import copy

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal

import vi
from vi.auto import order as auto
from vi.families import MeanField, Particles

QUIET = {"progressbar": False}


def bent():
    """A parabola with noise, of which no normal is near."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Deterministic("shifted", x + 100.0)
        pm.Normal("y", x**2, 0.5)
    return model


def normal():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, shape=2)
        pm.Deterministic("shifted", x[0] + 100.0)
        pm.Normal("y", x.sum(), 1.0, observed=[1.0, 3.0])
    return model


class Ended:
    """A fit by an object, and what it showed before."""

    def __init__(self, build):
        self.model = build()
        self.inference = vi.Auto(model=self.model, random_seed=1)
        self.approx = self.inference.approx
        self.before = {name: getattr(self.approx, name) for name in ("mean", "std")}
        self.family_before = self.approx.family
        assert self.inference.fit(**QUIET) is self.approx


@pytest.fixture(
    scope="module",
    params=[normal, pytest.param(bent, marks=pytest.mark.slow)],
    ids=["normal", "bent"],
)
def ended(request):
    return Ended(request.param)


def test_the_start_is_mean_field(ended):
    assert ended.family_before == MeanField()


def test_moments_are_those_of_what_came_out(ended):
    approx = ended.approx
    draws = approx.sample(4000, random_seed=1, log_prob=False, include_transformed=False)
    x = draws["posterior"]["x"].to_numpy().reshape(4000, -1)
    sd = approx.std.eval()[: x.shape[1]]
    np.testing.assert_allclose(np.diag(approx.cov.eval()) ** 0.5, approx.std.eval(), rtol=1e-9)
    # five errors of 4,000 draws, of which weights may leave fewer
    limit = 7.5 / np.sqrt(4000)
    assert (np.abs(x.mean(axis=0) - approx.mean.eval()[: x.shape[1]]) < limit * sd).all()
    assert (np.abs(np.log(x.std(axis=0) / sd)) < limit).all()


def test_parameters_are_those_of_the_family(ended):
    approx = ended.approx
    names = {"mu", "L_tril"} if not isinstance(approx.family, Particles) else {"particles"}
    assert set(approx.shared_params) == names
    assert len(approx.params) == len(names)
    assert set(approx.iterate) == names


def test_expressions_of_the_former_family_are_no_numbers(ended):
    """Rather than those of the start, in silence."""
    assert np.isnan(ended.before["std"].eval()).all()
    now = ended.approx.std.eval()
    assert np.isfinite(now).all()


def test_nodes_draws_and_tables(ended):
    approx = ended.approx
    node = approx.sample_node(ended.model["shifted"], size=50, random_seed=1).eval()
    assert node.shape == (50,)
    assert np.abs(node - 100.0).max() < 10
    draws = approx.sample(20, random_seed=1)
    assert {"posterior", "sample_stats", "fit", "diagnosis"} <= set(draws.children)
    assert ("log_q" in draws["sample_stats"]) == approx.family.has_density
    assert list(approx.summary(50).columns) == ["mean", "sd", "q5", "median", "q95"]
    assert "verdict: good" in repr(approx)


def test_files_and_copies(ended, tmp_path):
    ended.approx.save(tmp_path / "fit.vi")
    for other in (vi.load(tmp_path / "fit.vi", ended.model), copy.deepcopy(ended.approx)):
        np.testing.assert_array_equal(other.mean.eval(), ended.approx.mean.eval())
        assert set(other.shared_params) == set(ended.approx.shared_params)
        assert other.diagnosis.verdict == "good"


def test_more_steps(ended):
    """Of the last stage's algorithm; chains have none, and are not thrown away for one."""
    inference = copy.deepcopy(ended.inference)
    approx, before = inference.approx, inference.status.step
    if isinstance(approx.family, Particles):
        for more in (lambda: inference.refine(3, **QUIET), inference.step):
            with pytest.raises(TypeError, match=r"no more steps|no step"):
                more()
        assert approx.diagnosis.verdict == "good"
        stein = vi.Stein(approx).fit(2, **QUIET)
        assert isinstance(stein.family, Particles)
        return
    inference.refine(3, **QUIET)
    assert np.isfinite(inference.step())
    assert approx.status.step == before + 4 == len(inference.hist)
    assert approx.diagnosis is None
    assert np.isfinite(approx.summary(50).to_numpy()).all()


@pytest.mark.slow
def test_a_verdict_outlives_another_place_that_came_to_nothing(monkeypatch):
    """From far away the search comes back to the same normal, which is no gain."""
    far = (np.array([30.0, -30.0]), np.array([1.0, 1.0]))
    monkeypatch.setattr(auto, "better_place", lambda found: far)
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(2), np.array([[1.0, 0.5], [0.5, 1.0]]))
    approx = vi.fit(model=model, random_seed=1, **QUIET)
    stages = list(approx.stages["stage"])
    assert stages.count("match") == 2
    assert stages.count("check") == 1
    assert approx.diagnosis.verdict == "good"


def test_a_step_before_the_fit_is_refused():
    with pytest.raises(TypeError, match="Auto has stages"):
        vi.Auto(model=conjugate_normal().model).step()


def test_variables_come_back_with_their_family():
    """Shared parameters that a fit has left, and one of the same family takes up again."""
    approx = vi.MeanField(model=conjugate_normal().model, random_seed=1)
    before, rho, std = approx.record, approx.shared_params["rho"], approx.std
    full = vi.FullRank(model=approx.model, random_seed=1).record
    approx.change(lambda _: full)
    assert "rho" not in approx.shared_params
    assert np.isnan(rho.get_value()).all()
    assert np.isnan(std.eval()).all()
    approx.change(lambda _: before)
    assert approx.shared_params["rho"] is rho
    np.testing.assert_allclose(std.eval(), 0.693, atol=1e-3)
    rho.set_value(np.zeros(rho.get_value().shape))
    np.testing.assert_allclose(approx.std.eval(), np.log(2.0))
