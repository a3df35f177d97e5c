"""Groups: families by variable, fitted together, frozen and freed, with the moments of the
product.
"""

from __future__ import annotations

import copy
import functools

import numpy as np
import pymc as pm
import pytest
import scipy.stats

import vi
from vi.families import FullRank, LowRank, MeanField, StudentT

COV = np.array([[1.0, 0.8, 0.3], [0.8, 2.0, 0.1], [0.3, 0.1, 0.5]])
MEAN = np.array([1.0, -1.0, 2.0])


@functools.cache
def model():
    """Posterior known in closed form: x and z independent normals, y log-normal."""
    with pm.Model() as built:
        pm.MvNormal("x", MEAN, COV)
        pm.LogNormal("y", 0.5, 0.25, shape=2)
        pm.Normal("z", 3.0, 0.1)
    return built


def two_groups(**options):
    return vi.Approximation(
        [vi.Group(["z", "x"], family="full_rank", name="normal"), vi.Group(None)],
        model=model(),
        random_seed=1,
        **options,
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", pytest.param("pytensor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("estimator", [None, "sticking_the_landing", "monte_carlo"])
@pytest.mark.slow
def test_a_product_reaches_the_product(backend, estimator):
    """x and z are full rank and y mean field: exact, so that log p - log q is constant where all
    is in the family.
    """
    approx = vi.KLqp(two_groups(), estimator=estimator).fit(backend=backend, progressbar=False)
    cov = np.zeros((6, 6))
    cov[:3, :3], cov[3:5, 3:5], cov[5, 5] = COV, 0.25**2 * np.eye(2), 0.01
    sd = np.sqrt(np.diag(cov))
    limit = 0.005 if estimator == "sticking_the_landing" else 0.1  # see tests/test_correctness.py
    assert np.all(np.abs(approx.mean.eval() - [*MEAN, 0.5, 0.5, 3.0]) < limit * sd)
    assert np.all(np.abs(approx.cov.eval() - cov) / np.outer(sd, sd) < 2 * limit)
    normal = scipy.stats.multivariate_normal(approx.mean.eval(), approx.cov.eval())
    z = approx.mean.eval() + 0.1 * np.arange(12).reshape(2, 6)
    np.testing.assert_allclose(approx.logq(z), normal.logpdf(z))
    entropy = float(
        approx.family.entropy({name: np.asarray(value) for name, value in approx.reported.items()})
    )
    assert entropy == pytest.approx(normal.entropy())


@pytest.mark.slow
def test_blocks_of_the_covariance():
    approx = vi.KLqp(two_groups()).fit(2_000, progressbar=False)
    cov = approx.cov.eval()
    normal, rest = [0, 1, 2, 5], [3, 4]
    assert np.all(cov[np.ix_(normal, rest)] == 0)
    assert cov[3, 4] == 0
    assert cov[0, 1] != 0
    assert cov[0, 5] != 0


def test_names_of_groups_and_parameters():
    approx = two_groups()
    assert [(part.name, part.ranges, part.frozen) for part in approx.groups] == [
        ("normal", ((0, 3), (5, 6)), False),
        ("y", ((3, 5),), False),
    ]
    assert sorted(approx.shared_params) == ["normal.L_tril", "normal.mu", "y.mu", "y.rho"]
    whole = vi.MeanField(model=model()).groups
    assert [(part.name, part.ranges) for part in whole] == [("all", ((0, 6),))]


@pytest.mark.slow
def test_fit_takes_an_inference_over_groups():
    approx = vi.fit(50, method=vi.KLqp(two_groups(), beta=2.0), progressbar=False)
    assert len(approx.hist) == 50
    assert approx.settings()["objective"] == (
        "ClosedFormEntropy(entropy_weight=2.0, prior_weight=2.0)"
    )


def test_variables_as_objects_and_value_names():
    groups = [
        vi.Group([model()["x"], "y_log__"], vfam="fr"),
        vi.Group(["z"], family=MeanField(StudentT(6.0))),
    ]
    approx = vi.Approximation(groups, model=model())
    assert [part.family for part in approx.groups] == [FullRank(), MeanField(StudentT(6.0))]
    assert vi.Approximation(vi.Group(None, "low_rank"), model=model()).groups[0].family == LowRank()


@pytest.mark.slow
def test_a_frozen_group_stays():
    inference = vi.KLqp(
        vi.Approximation(
            [vi.Group(["x"], "fr", frozen=True), vi.Group(None)], model=model(), random_seed=1
        )
    )
    approx = inference.approx
    before = approx.iterate
    inference.fit(2_000, progressbar=False)
    for name, value in approx.iterate.items():
        assert np.array_equal(value, before[name]) == name.startswith("x."), name
    assert abs(approx.mean.eval()[5] - 3.0) < 0.02
    approx.unfreeze("x")
    inference.fit(6_000, progressbar=False)
    assert np.all(np.abs(approx.mean.eval()[:3] - MEAN) < 0.1 * np.sqrt(np.diag(COV)))


@pytest.mark.slow
def test_freezing_keeps_what_was_reported():
    inference = vi.KLqp(two_groups())
    approx = inference.fit(500, progressbar=False)
    reported = {name: np.array(value) for name, value in approx.reported.items()}
    approx.freeze("x")  # by a variable of the group
    assert [part.frozen for part in approx.groups] == [True, False]
    approx.refine(500, progressbar=False)
    for name, value in approx.iterate.items():
        assert np.array_equal(value, reported[name]) == name.startswith("normal."), name
    np.testing.assert_array_equal(approx.mean.eval()[:3], reported["normal.mu"][:3])
    approx.unfreeze()
    assert not any(part.frozen for part in approx.groups)
    approx.refine(5, progressbar=False)
    assert not np.array_equal(approx.iterate["normal.mu"], reported["normal.mu"])


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "optimizer", [vi.adam(learning_rate=0.1), vi.momentum(learning_rate=1e-3)], ids=lambda o: o.name
)
@pytest.mark.slow
def test_a_frozen_group_stays_with_momentum(optimizer):
    """Momentum from before the freeze must not move it."""
    inference = vi.KLqp(two_groups())
    approx = inference.fit(50, obj_optimizer=optimizer, progressbar=False)
    before = approx.iterate
    approx.freeze("normal")
    approx.refine(20, progressbar=False)
    np.testing.assert_array_equal(approx.iterate["normal.mu"], before["normal.mu"])
    assert not np.array_equal(approx.iterate["y.mu"], before["y.mu"])


@pytest.mark.slow
def test_draws_nodes_copies_and_files(tmp_path):
    approx = vi.KLqp(two_groups()).fit(200, progressbar=False)
    approx.freeze("y")
    approx.save(tmp_path / "groups.npz")
    loaded = vi.load(tmp_path / "groups.npz", model=model())
    assert loaded.groups == approx.groups
    for twin in (copy.deepcopy(approx), loaded):
        twin.refine(100, progressbar=False)
    approx.refine(100, progressbar=False)
    np.testing.assert_array_equal(loaded.hist, approx.hist)
    np.testing.assert_array_equal(loaded.cov.eval(), approx.cov.eval())
    draws = approx.sample(20_000, random_seed=1)
    x = draws["posterior"]["x"].to_numpy()[0]
    error = 5 / np.sqrt(20_000)
    assert np.all(np.abs(x.mean(axis=0) - approx.mean.eval()[:3]) < error * approx.std.eval()[:3])
    node = approx.sample_node(model()["x"], size=20_000, random_seed=2).eval()
    assert np.all(
        np.abs(node.mean(axis=0) - approx.mean.eval()[:3]) < error * approx.std.eval()[:3]
    )


@pytest.mark.parametrize(
    ("groups", "error", "match"),
    [
        (lambda: [vi.Group(["x"])], ValueError, r"No group covers y, z.*Group\(None\)"),
        (lambda: [vi.Group(["x", "y"]), vi.Group(["y", "z"])], ValueError, "'y' is in two groups"),
        (
            lambda: [vi.Group(["x", "y_log__"]), vi.Group(["y", "z"])],
            ValueError,
            "'y' is in two groups",
        ),
        (lambda: [vi.Group(["x", "x"]), vi.Group(None)], ValueError, "twice"),
        (
            lambda: [vi.Group(["w"]), vi.Group(None)],
            ValueError,
            "'w'.*not a free variable.*x, y, z",
        ),
        (lambda: [vi.Group(None), vi.Group(None)], ValueError, "only one"),
        (lambda: [vi.Group(["x", "y", "z"]), vi.Group(None)], ValueError, "leave it out"),
        (lambda: [vi.Group([]), vi.Group(None)], ValueError, "empty"),
        (lambda: [vi.Group("x"), vi.Group(None)], TypeError, "list of variables"),
        (lambda: [vi.Group([3]), vi.Group(None)], TypeError, "neither a variable"),
        (lambda: [vi.Group(["x"], "normal"), vi.Group(None)], ValueError, "'mean_field'"),
        (lambda: [vi.Group(["x"], vi.ADVI), vi.Group(None)], TypeError, "instance"),
        (
            lambda: [vi.Group(["x"], vi.families.Particles()), vi.Group(None)],
            TypeError,
            "no density",
        ),
        (lambda: [vi.Group(["x"], name="a.b"), vi.Group(None)], ValueError, "name='a.b'"),
        (lambda: [vi.Group(["x"], name="y"), vi.Group(None)], ValueError, "different names"),
        (lambda: [vi.Group(["x"]), "rest"], TypeError, r"vi\.Group"),
        (list, TypeError, r"vi\.Group"),
    ],
)
def test_bad_groups(groups, error, match):
    with pytest.raises(error, match=match):
        vi.Approximation(groups(), model=model())


def test_a_variable_of_another_model_is_refused():
    with pm.Model():
        stranger = pm.Normal("x")
    with pytest.raises(ValueError, match="x in a group is not a free variable of this model"):
        vi.Approximation([vi.Group([stranger]), vi.Group(None)], model=model())


def test_bad_freezing():
    approx = two_groups()
    with pytest.raises(ValueError, match="no group 'w'; there are normal, y"):
        approx.freeze("w")
    with pytest.raises(ValueError, match="Every group"):
        approx.freeze("normal", "y")
    with pytest.raises(TypeError, match="names of groups"):
        approx.freeze()
    with pytest.raises(TypeError, match="one family"):
        vi.MeanField(model=model()).freeze("x")
