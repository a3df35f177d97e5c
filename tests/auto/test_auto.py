"""The method that chooses: its stages, what comes back, what it refuses, what ends it."""

import copy
import importlib.util

import numpy as np
import pymc as pm
import pytest
from problems import PROBLEMS, conjugate_regression, two_signs

import vi
from vi.auto import attempt, repair
from vi.auto import order as auto
from vi.auto.ground import Ground
from vi.families import FullRank, LowRank, MeanField, Particles, Structured
from vi.inference.run_options import RunOptions

QUIET = {"method": "auto", "random_seed": 1, "progressbar": False}


def funnel():
    """Neal's funnel in three dimensions: no normal is near it."""
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", 0.0, 2.0)
        pm.Normal("x", 0.0, pm.math.exp(log_scale), shape=2)
    return model


def hidden_funnel():
    """The same, written so that no scale is seen in it: no coordinates but its own are known."""
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", 0.0, 2.0)
        x = pm.Flat("x", shape=2)
        pm.Potential("funnel", -0.5 * (x**2).sum() * pm.math.exp(-2 * log_scale) - 2 * log_scale)
    return model


def banana():
    """A parabola with noise: far from any normal, and no trouble for chains."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Normal("y", x**2, 0.5)
    return model


Y = np.random.default_rng(3).normal(2.0, 1.5, size=400)


def skewed():
    """A normal of unknown mean and scale, flat priors: the mean is a t with 399 degrees."""
    with pm.Model() as model:
        mean = pm.Flat("mean")
        log_scale = pm.Flat("log_scale")
        pm.Normal("y", mean, pm.math.exp(log_scale), observed=Y)
    return model


@pytest.fixture(scope="module")
def fitted():
    return vi.fit(model=conjugate_regression().model, **QUIET)


@pytest.mark.few(1)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_a_normal_posterior_is_exact(problem, backend, dtype):
    """Scores of a normal match without noise: what is left is rounding."""
    exact = PROBLEMS[problem]()
    approx = vi.fit(model=exact.model, backend=backend, dtype=dtype, **QUIET)
    assert approx.diagnosis.verdict == "good"
    assert list(approx.stages["stage"]) == ["search", "match", "check"]
    assert approx.family == FullRank()
    sd = exact.sd("fullrank_advi")
    limit = 1e-6 if dtype == "float64" else 1e-3
    assert np.abs(approx.mean.eval() - exact.mean).max() < limit * sd.max()
    assert np.abs(np.log(approx.std.eval() / sd)).max() < limit


def test_the_table_of_stages(fitted):
    table = fitted.stages
    assert list(table.columns) == [
        *("stage", "elbo", "elbo_error", "pareto_k", "gradients", "seconds", "outcome"),
        "kept",
    ]
    assert (table["gradients"] > 0).all()
    assert (table["seconds"] > 0).all()
    # the highest ELBO of independent normals is below that of any normal
    assert table["elbo"][0] < table["elbo"][1]
    assert fitted.status.ending == "converged"
    assert "stages search, match, check" in str(fitted.status)
    draws = fitted.sample(50, random_seed=1)
    assert list(draws["fit"]["stage"].to_numpy()) == ["1 search", "2 match", "3 check"]


def test_other_methods_have_no_stages():
    approx = vi.fit(5, method="advi", model=skewed(), random_seed=1, progressbar=False)
    assert len(approx.stages) == 0
    assert "stage" not in approx.sample(5)["fit"]


@pytest.mark.slow
def test_draws_are_weighted_where_that_can_be_relied_on():
    """The mean is a t: its variance is s^2 / n (n - 1) / (n - 3)."""
    approx = vi.fit(model=skewed(), **QUIET)
    assert approx.record.resample == "psis"
    tree = approx.sample(4000, random_seed=2)
    assert tree["posterior"].attrs["resampled"] == "psis"
    n = len(Y)
    sd = Y.std(ddof=1) / np.sqrt(n) * np.sqrt((n - 1) / (n - 3))
    draws = tree["posterior"]["mean"].to_numpy()
    # five errors of 4,000 draws; those that come twice make it larger, by a half at most
    assert abs(draws.mean() - Y.mean()) < 7.5 * sd / np.sqrt(4000)
    assert abs(np.log(draws.std() / sd)) < 7.5 / np.sqrt(2 * 4000)
    raw = approx.sample(50, random_seed=2, resample=None)
    assert "resampled" not in raw["posterior"].attrs
    table = approx.summary(4000, random_seed=3)
    assert abs(table["mean"]["mean"] - Y.mean()) < 7.5 * sd / np.sqrt(4000)


@pytest.mark.slow
def test_chains_take_over_where_no_normal_will_do():
    """Of y = x^2 + 0.5 e mean and variance are 1 and 2.25."""
    approx = vi.fit(model=banana(), **QUIET)
    assert list(approx.stages["stage"])[-1] == "chains"
    assert isinstance(approx.family, Particles)
    assert approx.record.resample is None
    found = approx.diagnosis
    assert found.verdict == "good"
    assert found.table["rhat"].max() <= 1.01
    assert found.table["ess"].min() >= 400
    assert "chains" in found.why
    # five errors of as many effective draws; the fourth moment of y doubles that of the variance
    limit = 5 / np.sqrt(found.table["ess"].min().item())
    assert abs(approx.mean.eval()[1] - 1.0) < 1.5 * limit
    assert abs(np.log(approx.std.eval()[1] / 1.5)) < 2 * limit
    assert approx.sample(10)["posterior"]["y"].shape == (1, 10)


@pytest.mark.slow
def test_chains_that_do_not_agree_are_not_taken():
    approx = vi.fit(model=hidden_funnel(), **QUIET)
    assert list(approx.stages["stage"])[-1] == "chains"
    assert approx.diagnosis.verdict in ("do not use", "means only")
    if approx.diagnosis.verdict == "do not use":
        assert approx.family == FullRank()


@pytest.mark.slow
def test_chains_leave_a_funnel():
    """In non-centred coordinates Neal's funnel is a normal: log_scale is N(0, 2) by itself."""
    approx = vi.fit(model=funnel(), **QUIET)
    found = approx.diagnosis
    assert found.verdict == "good"
    assert "partly centred coordinates (x)" in found.why
    flat = np.asarray(approx.sample(4000, random_seed=1)["posterior"]["log_scale"]).ravel()
    # drawn from the particles with replacement: two errors
    errors = 1 / found.table["ess"].min().item() + 1 / 4000
    assert abs(flat.mean()) < 5 * 2.0 * np.sqrt(errors)
    assert abs(np.log(flat.std() / 2.0)) < 5 * np.sqrt(errors / 2) * 2


@pytest.mark.slow
def test_chains_that_come_to_nothing_go_back_to_the_coordinates_of_the_model(monkeypatch):
    tried = []
    begun = repair._Attempts.begun

    def recorded(self, *args):
        tried.append(begun(self, *args))
        return tried[-1]

    monkeypatch.setattr(repair._Attempts, "begun", recorded)
    monkeypatch.setattr(attempt.Attempt, "is_good", property(lambda self: False))
    monkeypatch.setattr(attempt.Attempt, "is_on_its_way", property(lambda self: False))
    monkeypatch.setattr(attempt.Attempt, "legs_to_go", lambda self, left: 0)
    monkeypatch.setattr(repair, "LONGEST", 1000)
    vi.fit(model=funnel(), **QUIET)
    assert [one.moved for one in tried] == [("x",), ("x",), ("x",), ()]


@pytest.mark.slow
def test_the_best_attempt_of_chains_is_kept(monkeypatch):
    """Attempts that come to nothing do not take the place of one that did."""
    attempts = []
    begun = repair._Attempts.begun

    def recorded(self, *args):
        attempts.append(begun(self, *args))
        return attempts[-1]

    def rank(self):
        return (1, 0.0) if self is attempts[0] else (0, 1e9)

    monkeypatch.setattr(repair._Attempts, "begun", recorded)
    monkeypatch.setattr(attempt.Attempt, "rank", property(rank))
    monkeypatch.setattr(attempt.Attempt, "is_good", property(lambda self: False))
    monkeypatch.setattr(attempt.Attempt, "is_better_than_q", property(lambda self: True))
    monkeypatch.setattr(repair, "LONGEST", 1000)
    approx = vi.fit(model=hidden_funnel(), **QUIET)
    assert len(attempts) >= 3
    held = np.sort(approx.reported["particles"].ravel())
    np.testing.assert_array_equal(held, np.sort(attempts[0].draws.ravel()))


@pytest.mark.slow
def test_chains_over_images_of_a_mode():
    """Two factors of a product: their signs and order are open, the product is known.

    A curved ridge in each of two places; means are zero by symmetry, the rest is by quadrature.
    """
    y = np.array([0.8, 1.2, 1.1])
    with pm.Model() as model:
        factors = pm.Normal("factors", 0.0, 1.5, shape=2)
        pm.Deterministic("product", factors.prod())
        pm.Normal("y", factors.prod(), 0.5, observed=y)
    approx = vi.fit(model=model, **QUIET)
    assert list(approx.stages["stage"])[-1] == "chains"
    assert approx.diagnosis.verdict == "good"
    ess = approx.diagnosis.table["ess"].min().item()
    posterior = approx.sample(len(approx.reported["particles"]), random_seed=2)["posterior"]
    draws = np.asarray(posterior["factors"]).reshape(-1, 2)
    assert np.all(np.abs(draws.mean(axis=0)) < 5 * draws.std(axis=0) / np.sqrt(ess))
    a, b = np.meshgrid(*[np.linspace(-9, 9, 3001)] * 2, indexing="ij")
    log_p = -0.5 * (a**2 + b**2) / 1.5**2 - 0.5 * ((a * b)[..., None] - y) ** 2 @ np.full(3, 4.0)
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()
    mean = (weights * a * b).sum()
    spread = np.sqrt((weights * (a * b - mean) ** 2).sum())
    product = np.asarray(posterior["product"]).ravel()
    assert abs(product.mean() - mean) < 5 * spread / np.sqrt(ess)
    # the sd of a coordinate, of heavier tails than a normal's squares
    assert abs(np.log(draws[:, 0].std() / np.sqrt((weights * a**2).sum()))) < 5 / np.sqrt(ess)


@pytest.mark.slow
def test_no_chains_on_request():
    approx = vi.fit(model=funnel(), inf_kwargs={"repair": None}, **QUIET)
    assert "chains" not in list(approx.stages["stage"])
    assert approx.diagnosis.verdict != "good"
    assert "repair=None" in approx.diagnosis.advice
    assert approx.status.ending == "max_steps"


@pytest.mark.slow
def test_chains_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    approx = vi.fit(model=funnel(), **QUIET)
    assert "pymc-vi[mcmc]" in approx.diagnosis.advice


@pytest.mark.slow
def test_a_budget_that_is_spent():
    approx = vi.fit(model=funnel(), inf_kwargs={"max_evaluations": 1000}, **QUIET)
    assert "chains" not in list(approx.stages["stage"])
    assert "budget of 1,000 gradients" in approx.status.message


@pytest.mark.slow
def test_chains_where_jax_is_not_the_backend():
    approx = vi.fit(model=funnel(), backend="pytensor", **QUIET)
    assert "backend='jax'" in approx.diagnosis.advice


@pytest.mark.slow
def test_the_seed_decides(fitted):
    again = vi.fit(model=conjugate_regression().model, **QUIET)
    np.testing.assert_array_equal(again.hist, fitted.hist)
    np.testing.assert_array_equal(again.mean.eval(), fitted.mean.eval())
    same = [column for column in again.stages if column != "seconds"]
    assert again.stages[same].equals(fitted.stages[same])


@pytest.mark.slow
@pytest.mark.parametrize("model", [skewed, banana])
def test_files_and_copies_keep_it(model, tmp_path):
    model = model()
    approx = vi.fit(model=model, **QUIET)
    approx.save(tmp_path / "fit.vi")
    for other in (vi.load(tmp_path / "fit.vi", model), copy.deepcopy(approx)):
        assert other.stages.equals(approx.stages)
        assert other.record.resample == approx.record.resample
        assert other.diagnosis.verdict == approx.diagnosis.verdict
        mine, theirs = (
            a.sample(20, random_seed=3)["posterior"].to_dataset() for a in (approx, other)
        )
        assert mine.equals(theirs)


@pytest.mark.slow
def test_refine_goes_on_from_the_last_steps():
    approx = vi.fit(model=skewed(), **QUIET)
    before = approx.status.step
    approx.refine(10, progressbar=False)
    assert approx.status.step == before + 10
    assert len(approx.hist) == before + 10


@pytest.mark.slow
def test_callbacks_see_one_run():
    seen, families = [], set()

    def watch(approx, losses, i):
        seen.append(i)
        families.add(approx.family.short_name)
        assert len(losses) == i

    vi.fit(model=funnel(), callbacks=[watch], inf_kwargs={"repair": None}, **QUIET)
    assert seen == list(range(1, len(seen) + 1))
    assert families == {"full_rank"}


def test_a_callback_ends_the_whole_fit():
    def stop(approx, losses, i):
        if i == 7:
            raise StopIteration("enough")

    approx = vi.fit(model=funnel(), callbacks=[stop], **QUIET)
    assert approx.status.ending == "stopped"
    assert approx.status.step == len(approx.hist) == 7
    assert approx.status.message == "enough; stages search, match, ended before the check."
    assert list(approx.stages["stage"]) == ["search", "match"]
    assert np.isfinite(approx.mean.eval()).all()


def test_no_steps_initialise_only():
    approx = vi.fit(0, model=skewed(), **QUIET)
    assert approx.family == MeanField()
    assert len(approx.stages) == 0
    np.testing.assert_allclose(approx.std.eval(), 0.693, atol=1e-3)


@pytest.mark.slow
def test_an_object_is_live_and_goes_on():
    inference = vi.Auto(model=skewed(), random_seed=1)
    approx = inference.approx
    assert approx.family == MeanField()
    assert inference.fit(progressbar=False) is approx
    first = approx.mean.eval()
    inference.fit(progressbar=False)
    np.testing.assert_allclose(approx.mean.eval(), first, atol=0.1)
    assert approx.stages["stage"][0] == "search"
    other = vi.KLqp(approx).fit(5, progressbar=False)
    assert len(other.stages) == 0
    assert other.record.resample is None


@pytest.mark.slow
def test_many_dimensions_get_a_low_rank(monkeypatch):
    monkeypatch.setattr(auto, "LARGEST_FULL", 2)
    monkeypatch.setattr(vi.auto.climb, "LARGEST_FULL", 2)
    approx = vi.fit(500, model=conjugate_regression().model, **QUIET)
    assert isinstance(approx.family, LowRank)
    assert list(approx.stages["stage"])[:3] == ["search", "climb", "check"]


@pytest.mark.slow
def test_many_groups_are_fitted_in_their_structure():
    """Given mean and scale effects are normal: the ELBO is near the evidence, which full rank's
    is not, and the stage says so.
    """
    rng = np.random.default_rng(1)
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 3.0), pm.HalfNormal("tau", 3.0)
        theta = pm.Normal("theta", mu, tau, shape=110)
        pm.Normal("y", theta, 1.0, observed=rng.normal(1.0, 3.0, 110))
    approx = vi.fit(1000, model=model, **QUIET)
    assert isinstance(approx.family, Structured)
    # weights of the globals have the same moments: the fit stays
    assert list(approx.stages["stage"]) == ["search", "structure", "check", "integrate"]
    assert list(approx.stages["kept"]) == [True, True, True, False]
    assert str(approx.stages["outcome"].values[1]).startswith("groups given 2 globals")
    assert approx.diagnosis.verdict == "good"


@pytest.mark.slow
def test_globals_that_are_no_normal_are_drawn():
    """A scale that may be 0, of 120 effects: its log has a long tail, which no normal has.

    The effects are integrated out by hand, and the scale's moments known by quadrature.
    """
    y = np.random.default_rng(1).normal(0.0, 1.0, 120)
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        theta = pm.Normal("theta", 0.0, tau, shape=120)
        pm.Normal("y", theta, 1.0, observed=y)
    approx = vi.fit(1000, model=model, **QUIET)
    assert list(approx.stages["stage"]) == ["search", "structure", "check", "integrate"]
    assert approx.diagnosis.verdict == "good"
    grid = np.linspace(1e-6, 3.0, 30_001)
    variance = 1 + grid[:, None] ** 2
    log_p = -0.5 * grid**2 - 0.5 * np.sum(y**2 / variance + np.log(variance), axis=1)
    p = np.exp(log_p - log_p.max())
    mean = p @ grid / p.sum()
    sd = np.sqrt(p @ (grid - mean) ** 2 / p.sum())
    draws = approx.sample(2000, random_seed=1)["posterior"]["tau"].values
    # a thousand effective draws and more, four standard errors
    assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(1000)
    assert abs(np.log(draws.std() / sd)) < 4 / np.sqrt(2 * 1000) * 1.5


@pytest.mark.slow
def test_few_rows_in_batches_are_fitted_as_a_whole():
    rng = np.random.default_rng(1)
    y = rng.normal(3.0, 2.0, size=2000)
    with pm.Model() as model:
        batch = vi.Minibatch(y, batch_size=100)
        mean, sd = pm.Normal("mean", 0.0, 10.0), pm.HalfNormal("sd", 10.0)
        pm.Normal("y", mean, sd, observed=batch, total_size=len(y))
    approx = vi.fit(3000, model=model, **QUIET)
    assert list(approx.stages["stage"]) == ["search", "match", "check"]
    # flat priors: the mean's sd is s / sqrt(n); the noise of the steps is a tenth of that
    error = abs(approx.sample(2000, random_seed=1)["posterior"]["mean"].mean().item() - y.mean())
    assert error < 0.3 * y.std() / np.sqrt(len(y))


@pytest.mark.slow
def test_another_place_is_gone_to(monkeypatch):
    """A start at a lesser mode, which the check sees: 0.99 of the mass is at the other one."""
    with pm.Model() as model:
        pm.Mixture(
            "x", w=[0.01, 0.99], comp_dists=[pm.Normal.dist(-8.0, 1.0), pm.Normal.dist(2.0, 1.0)]
        )
    approx = vi.fit(model=model, start={"x": -8.0}, start_sigma={"x": 0.1}, **QUIET)
    assert list(approx.stages["stage"]).count("match") >= 2
    np.testing.assert_allclose(approx.mean.eval(), 2.0, atol=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"obj_optimizer": vi.adam(learning_rate=0.1)}, "obj_optimizer: method='auto' has stages"),
        ({"obj_n_mc": 4}, "obj_n_mc: method='auto' has stages"),
        ({"averaging": "polynomial"}, "averaging: method='auto' has stages"),
        ({"averaging": None}, "averaging: method='auto' has stages"),
        ({"total_grad_norm_constraint": 1.0}, "total_grad_norm_constraint: method='auto'"),
        ({"restarts": 2}, "restarts: method='auto'"),
        ({"devices": 1}, "devices: method='auto'"),
        ({"estimator": "closed_form"}, "estimator='closed_form': the stages of Auto"),
        ({"repair": None}, r"'repair'. It is one of the method: inf_kwargs=\{'repair': ...\}"),
        ({"inf_kwargs": {"repair": "nuts"}}, "repair='nuts' is unknown"),
        ({"inf_kwargs": {"max_evaluations": 0}}, "max_evaluations=0"),
        ({"inf_kwargs": {"max_seconds": 0}}, "max_seconds=0"),
        ({"inf_kwargs": {"max_seconds": "long"}}, "max_seconds='long'"),
        ({"inf_kwargs": {"warm_start": False}}, "warm_start"),
    ],
)
def test_refusals(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        vi.fit(model=skewed(), **options, **QUIET)


def test_a_refused_fit_changes_nothing():
    inference = vi.Auto(model=skewed(), random_seed=1)
    before = inference.approx.record
    with pytest.raises(TypeError):
        inference.fit(restarts=2, progressbar=False)
    assert inference.approx.record is before


def test_streamed_rows_have_a_verdict_by_a_pass_over_them():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=pm.Data("d", Y[:10]))
    stream = vi.data.Stream(vi.data.source_from({"d": Y}), 10)
    approx = vi.fit(model=model, data=stream, **QUIET)
    assert list(approx.stages["stage"]) == ["climb", "check"]
    # mu | y is normal: its sd is 1 / sqrt(n + 1), its mean the sum over n + 1
    found = approx.diagnosis
    mean, sd = Y.sum() / (len(Y) + 1), (len(Y) + 1) ** -0.5
    moved = found.table["mean"] + found.table["weights_mean"] * found.table["sd"]
    assert float(moved[0]) == pytest.approx(mean, abs=5 * sd / np.sqrt(found.importance_ess))
    assert found.verdict != "do not use"
    # no draws are weighed without being asked for: they would take a pass each time
    assert approx.record.resample is None


@pytest.mark.slow
def test_chains_that_stay_where_they_begin_say_nothing(monkeypatch):
    """Two modes that are no images of each other; some chains begin at either."""
    monkeypatch.setattr(auto, "mixture", lambda ground, found: found)
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, initval=0.5)
        pm.Normal("y", x**2 + 0.2 * x, 0.05, observed=1.0)
    approx = vi.fit(model=model, **QUIET)
    assert approx.diagnosis.verdict == "do not use"
    assert "multimodal" in approx.diagnosis.why
    assert list(approx.stages["stage"])[-1] == "chains"
    assert not approx.stages["kept"].to_numpy()[-1]
    assert "R-hat" in approx.diagnosis.advice


@pytest.mark.slow
def test_chains_know_the_image_of_a_mode(monkeypatch):
    """Two places 80 sds apart, which are each other's mirror: half of the draws at each."""
    monkeypatch.setattr(auto, "mixture", lambda ground, found: found)
    approx = vi.fit(model=two_signs(), **QUIET)
    assert approx.diagnosis.verdict == "good"
    assert "the sign of x changed" in approx.diagnosis.why
    particles = np.asarray(approx.reported["particles"]).ravel()
    assert abs(np.mean(particles > 0) - 0.5) < 5 * 0.5 / np.sqrt(len(particles))


@pytest.mark.slow
def test_improper_posteriors_are_not_used():
    with pm.Model() as model:
        pm.Normal("y", pm.Flat("a") + pm.Flat("b"), 1.0, observed=[1.2, 1.0])
    approx = vi.fit(model=model, **QUIET)
    assert approx.diagnosis.verdict == "do not use"
    assert approx.diagnosis.improper == "a, b"


@pytest.mark.slow
def test_a_verdict_of_chains_is_not_replaced_by_a_weaker_one():
    approx = vi.fit(model=banana(), **QUIET)
    assert approx.diagnose() is approx.diagnosis
    assert "R-hat" in approx.diagnosis.why


@pytest.mark.few(1)
@pytest.mark.parametrize("length", [7, 50])
def test_weights_are_those_of_the_data_of_the_fit(length, caplog):
    """Other predictors, of other lengths too, come before predictions; the posterior stays."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=50)
    with pm.Model() as model:
        data = pm.Data("x", x)
        slope = pm.Normal("slope", 0.0, 10.0)
        counts = rng.poisson(np.exp(0.7 * x))
        pm.Poisson("y", pm.math.exp(slope * data), observed=counts, shape=data.shape)
    approx = vi.fit(model=model, **QUIET)
    assert approx.record.resample == "psis"
    with model:
        pm.set_data({"x": np.linspace(-1.0, 1.0, length)})
    with caplog.at_level("WARNING", logger="vi"):
        draws = approx.sample(2000, log_prob=False, random_seed=1)["posterior"]["slope"]
    assert "the data are not those of the fit" in caplog.text
    # five errors of 2,000 draws
    sd = approx.std.eval()[0]
    assert abs(draws.mean().item() - approx.mean.eval()[0]) < 5 * sd / np.sqrt(2000)


def test_a_singular_normal_has_the_elbo_of_its_noise():
    """Solved for at its draws, log q would be rounding, and the ELBO as high as you like."""
    approx = vi.FullRank(model=conjugate_regression().model, random_seed=1)
    dim = approx.record.layout.dim
    factor = np.ones((dim, dim)) * 1e3 + 1e-14 * np.eye(dim)
    packed = np.tril(factor)[np.tril_indices(dim)]
    rows = np.cumsum(np.arange(1, dim + 1)) - 1
    packed[rows[1:]] = -700.0  # softplus of which is e-304
    approx.set_params({"L_tril": packed})
    look = Ground(approx, RunOptions().resolved(averages=True, n=1), 1).look()
    log_det = np.log(np.logaddexp(0.0, packed[rows])).sum()
    entropy = 0.5 * dim * np.log(2 * np.pi * np.e) + log_det
    # the noise's log density has a variance of D / 2
    assert abs(look.log_q.mean() + entropy) < 5 * np.sqrt(dim / 2 / len(look.log_q))
    assert look.elbo < -1e6
    assert not look.reliable
