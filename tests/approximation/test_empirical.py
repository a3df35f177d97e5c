"""Empirical approximations: from noise, posteriors and arrays, through transforms, and all that
follows.
"""

from __future__ import annotations

import copy
import functools

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import vi


@functools.cache
def model():
    """Transforms of many kinds, one of which depends on another variable, and a deterministic."""
    with pm.Model(coords={"group": ["a", "b", "c"]}) as built:
        scale = pm.HalfNormal("scale")
        upper = pm.Uniform("upper", 0.0, 1.0 + scale)
        weights = pm.Dirichlet("weights", np.ones(3), dims="group")
        cuts = pm.Normal(
            "cuts",
            0.0,
            2.0,
            shape=2,
            transform=pm.distributions.transforms.ordered,
            initval=[-1.0, 1.0],
        )
        centre = pm.ZeroSumNormal("centre", dims="group")
        pm.Deterministic("total", scale + upper + weights.sum() + cuts.sum())
        pm.Normal("y", centre.sum() + scale, 1.0, observed=[0.3, -0.2])
    return built


@functools.cache
def prior():
    with model():
        draws = pm.sample_prior_predictive(60, random_seed=1)["prior"].to_dataset()
    ordered = np.sort(
        draws["cuts"], axis=-1
    )  # the prior itself does not know the order that the transform asks for
    return draws.assign(cuts=(draws["cuts"].dims, ordered))


@functools.cache
def posterior():
    """Draws in two chains, as a sampler would give them, deterministics included."""
    flat = prior().isel(chain=0)
    chains = [
        flat.isel(draw=slice(30 * i, 30 * i + 30)).assign_coords(draw=np.arange(30))
        for i in range(2)
    ]
    return xr.DataTree.from_dict(
        {"/posterior": xr.concat(chains, dim="chain").assign_coords(chain=[0, 1])}
    )


@pytest.mark.slow
def test_from_a_posterior_and_back():
    """Constrained draws -> particles -> constrained draws: the same values, up to the order of
    drawing.
    """
    approx = vi.Empirical(posterior(), model=model())
    assert approx.particles.shape == (60, approx.ndim)
    back = approx.target().constrain(approx.particles)
    stacked = posterior()["posterior"].to_dataset().stack(s=("chain", "draw")).transpose("s", ...)
    for name in ("scale", "upper", "weights", "cuts", "centre", "total"):
        np.testing.assert_allclose(back[name], stacked[name].to_numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", ["dataset", "dict", "group", "shuffled dims"])
def test_from_other_containers(kind):
    dataset = posterior()["posterior"].to_dataset()
    stacked = dataset.stack(s=("chain", "draw")).transpose("s", ...)
    trace = {
        "dataset": dataset,
        "group": posterior()["posterior"],
        "dict": {
            name: stacked[name].to_numpy()
            for name in ("scale", "upper", "weights", "cuts", "centre")
        },
        "shuffled dims": dataset.transpose(*list(dataset.dims)[::-1]),
    }[kind]
    np.testing.assert_allclose(
        vi.Empirical(trace, model=model()).particles,
        vi.Empirical(posterior(), model=model()).particles,
    )


def test_labels_are_aligned_and_must_match():
    with pm.Model(coords={"g": ["a", "b"], "h": ["u", "v"]}) as labelled:
        pm.Normal("x", dims=("g", "h"))
    values = np.tile([[1.0, 2.0], [3.0, 4.0]], (1, 5, 1, 1))
    plain = xr.DataArray(
        values, dims=("chain", "draw", "g", "h"), coords={"g": ["b", "a"], "h": ["u", "v"]}
    )
    for array in (plain, plain.transpose("h", "chain", "g", "draw")):
        found = vi.Empirical(xr.Dataset({"x": array}), model=labelled).sample(3)["posterior"]["x"]
        assert np.all(found.sel(g="a", h="v") == 4.0)
        assert np.all(found.sel(g="b", h="u") == 1.0)
    with pytest.raises(ValueError, match="labels"):
        vi.Empirical(xr.Dataset({"x": plain.assign_coords(g=["a", "z"])}), model=labelled)


def test_from_a_multitrace():
    with pm.Model() as small:
        pm.HalfNormal("s")
        trace = pm.sample(
            20,
            tune=20,
            chains=1,
            step=pm.Metropolis(),
            return_inferencedata=False,
            progressbar=False,
            random_seed=1,
        )
    np.testing.assert_allclose(
        np.exp(vi.Empirical(trace, model=small).particles.ravel()), trace.get_values("s")
    )


def test_files_know_the_labels(tmp_path):
    def labelled(*names):
        with pm.Model(coords={"g": names}) as built:
            pm.Normal("x", dims="g")
        return built

    vi.Empirical(size=5, model=labelled("a", "b")).save(tmp_path / "fit.npz")
    vi.load(tmp_path / "fit.npz", model=labelled("a", "b"))
    with pytest.raises(ValueError, match="labels along 'g'"):
        vi.load(tmp_path / "fit.npz", model=labelled("b", "a"))


def test_unconstrained_values_by_their_own_names():
    whole = vi.Empirical(posterior(), model=model())
    pieces = whole.layout.unflatten(whole.particles)
    again = vi.Empirical(pieces, model=model())
    np.testing.assert_array_equal(again.particles, whole.particles)


@pytest.mark.slow
def test_moments_draws_and_nodes():
    approx = vi.Empirical(posterior(), model=model(), random_seed=1)
    x = approx.particles
    np.testing.assert_allclose(approx.mean.eval(), x.mean(axis=0))
    np.testing.assert_allclose(approx.std.eval(), x.std(axis=0))
    np.testing.assert_allclose(approx.cov.eval(), np.cov(x.T, bias=True), atol=1e-12)
    np.testing.assert_array_equal(approx.histogram.get_value(), x)
    draws = approx.sample(4_000, random_seed=2)
    assert set(draws["sample_stats"].data_vars) == {"log_p"}
    scale = draws["posterior"]["scale"].to_numpy()[0]
    known = posterior()["posterior"]["scale"].to_numpy().ravel()
    counts = (np.abs(scale[:, None] - known) < 1e-9).sum(axis=0)
    assert counts.sum() == 4_000, "every draw is a particle"
    # each count is binomial(4000, 1/60): five standard deviations
    assert np.all(np.abs(counts - 4_000 / 60) < 5 * np.sqrt(4_000 / 60))
    node = approx.sample_node(model()["total"], size=2_000, random_seed=3).eval()
    total = posterior()["posterior"]["total"].to_numpy().ravel()
    assert np.all(np.abs(node[:, None] - total).min(axis=1) < 1e-6)
    assert abs(node.mean() - total.mean()) < 5 * total.std() / np.sqrt(2_000)


@pytest.mark.slow
def test_size_thins_the_draws_evenly():
    approx = vi.Empirical(posterior(), 7, model=model())
    whole = vi.Empirical(posterior(), model=model()).particles
    np.testing.assert_array_equal(
        approx.particles, whole[np.linspace(0, 59, 7).round().astype(int)]
    )


@pytest.mark.slow
def test_noise():
    for approx in (
        vi.Empirical(size=3_000, jitter=0.5, model=model(), random_seed=1),
        vi.Empirical.from_noise(3_000, 0.5, model=model(), random_seed=1),
    ):
        np.testing.assert_allclose(approx.std.eval(), 0.5, rtol=5 / np.sqrt(6_000))
    assert vi.Empirical(model=model()).particles.shape[0] == 100


def test_copies_and_files(tmp_path):
    approx = vi.Empirical(posterior(), model=model(), random_seed=1)
    approx.save(tmp_path / "particles.npz")
    loaded = vi.load(tmp_path / "particles.npz", model=model())
    for twin in (copy.deepcopy(approx), loaded):
        assert isinstance(twin, vi.Empirical)
        np.testing.assert_array_equal(twin.particles, approx.particles)


@pytest.mark.slow
def test_restart_goes_back_to_the_draws_or_to_noise():
    inference = vi.Stein(vi.Empirical(posterior(), model=model(), random_seed=1))
    before = inference.approx.particles
    inference.fit(3, progressbar=False)
    assert not np.array_equal(inference.approx.particles, before)
    inference.approx.restart(random_seed=1)
    np.testing.assert_array_equal(inference.approx.particles, before)
    inference.approx.restart(start={"scale": 2.0}, random_seed=1)
    assert not np.allclose(inference.approx.particles, before)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: d.pop("scale"), ValueError, "no draws of scale"),
        (lambda d: d.update(cuts=d["cuts"][:, :1]), ValueError, "'cuts' has draws of shape"),
        (lambda d: d.update(scale=d["scale"][:5]), ValueError, "common leading length"),
        (lambda d: d.update(scale=-d["scale"]), ValueError, "60 draws of 'scale' lie outside"),
        (lambda d: d.update(upper=1.0 + d["scale"] + 1e-3), ValueError, "'upper' lie outside"),
        (lambda d: d.update(scale=np.array(["a"] * 60)), TypeError, "real numbers"),
        (lambda d: d.clear(), ValueError, "leading length"),
    ],
)
def test_bad_draws(change, error, match):
    stacked = posterior()["posterior"].to_dataset().stack(s=("chain", "draw")).transpose("s", ...)
    draws = {
        name: stacked[name].to_numpy().copy()
        for name in ("scale", "upper", "weights", "cuts", "centre")
    }
    change(draws)
    with pytest.raises(error, match=match):
        vi.Empirical(draws, model=model())


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"trace": 3}, TypeError, "DataTree"),
        ({"trace": xr.DataTree.from_dict({"/prior": xr.Dataset()})}, ValueError, "posterior"),
        ({"trace": xr.Dataset({"scale": 1.0})}, ValueError, "chain and draw"),
        ({"size": 1}, ValueError, "at least 2"),
        ({"jitter": -1}, ValueError, "jitter"),
    ],
)
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        vi.Empirical(**arguments, model=model())
    with pytest.raises(TypeError, match="noise"):
        vi.Empirical(posterior(), model=model(), start={"scale": 1.0})
    with pytest.raises(ValueError, match="size=100"):
        vi.Empirical(posterior(), 100, model=model())
