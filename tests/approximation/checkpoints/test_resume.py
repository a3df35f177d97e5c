"""The same call, started again after a cut, ends where the one that was never cut ends."""

from __future__ import annotations

import json

import numpy as np
import optax
import pytest
from checkpointed import FITS, cut, in_batches, named, of_model, refined_steps
from problems import conjugate_regression

import vi


def assert_same(one, two):
    np.testing.assert_array_equal(one.hist, two.hist)
    for name, value in one.iterate.items():
        np.testing.assert_array_equal(value, two.iterate[name])
    for name, value in one.reported.items():
        np.testing.assert_array_equal(value, two.reported[name])
    assert one.status == two.status


def files_of(folder):
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(".losses"))


@pytest.mark.few(3)
@pytest.mark.parametrize("at", [110, 199])
@pytest.mark.parametrize("name", FITS)
def test_a_run_that_was_cut_goes_on_bit_for_bit(name, at, tmp_path, monkeypatch):
    """Twice cut: after the second the checkpoint is one of a run that had gone on before."""
    fit, path = FITS[name], tmp_path / "run.vi"
    before = refined_steps(fit)
    cut(monkeypatch, fit, before + at, checkpoint=path, every=20)
    cut(monkeypatch, fit, before + at + 61, checkpoint=path, every=20)
    again = fit(checkpoint=path, every=20)
    assert_same(again, fit())
    assert files_of(tmp_path) == ["run.vi", "run.vi.1", "run.vi.2"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"backend": "pytensor"}, {"restarts": 3}])
def test_flows_go_on_bit_for_bit(options, tmp_path, monkeypatch):
    fit, path = named("nfvi", **options), tmp_path / "run.vi"
    cut(monkeypatch, fit, 110, checkpoint=path, every=20)
    assert_same(fit(checkpoint=path, every=20), fit())


def test_batch_and_match_goes_on(tmp_path, monkeypatch):
    fit, path = named("bam", n=30), tmp_path / "run.vi"
    cut(monkeypatch, fit, 7, checkpoint=path, every=2)
    assert_same(fit(checkpoint=path, every=2), fit())


def test_checkpoints_change_nothing(tmp_path):
    fit = named("advi")
    for number, every in enumerate((1, 7, "0.001s", "1h")):
        assert_same(fit(checkpoint=tmp_path / f"{number}.vi", every=every), fit())


def test_a_finished_run_is_read_and_makes_no_step(tmp_path):
    fit, path = named("advi"), tmp_path / "run.vi"
    whole, seen = fit(checkpoint=path), []
    again = fit(checkpoint=path, callbacks=[lambda approx, losses, i: seen.append(i)])
    assert not seen
    assert_same(again, whole)
    assert_same(named("advi", n=500)(checkpoint=path), named("advi", n=500)())


def test_what_several_starts_found_is_read_too(tmp_path):
    fit, path = FITS["restarts"], tmp_path / "run.vi"
    one, two = (fit(checkpoint=path).record.starts for _ in range(2))
    assert one.equals(two)


@pytest.mark.slow
def test_restarts_on_batches_go_on_by_the_keys_of_each(tmp_path, monkeypatch):
    fit, path = of_model(in_batches, restarts=3), tmp_path / "run.vi"
    cut(monkeypatch, fit, 110, checkpoint=path, every=20)
    assert_same(fit(checkpoint=path, every=20), fit())


def test_a_run_that_fails_among_several_stays_where_it_was(tmp_path, monkeypatch):
    """A log density of two modes, of which one has NaN in its tail: who goes there ends there."""
    import jax.numpy as jnp

    def density(x):
        return jnp.where(x[0] > 4.5, jnp.nan, -0.5 * jnp.sum((jnp.abs(x) - 3.0) ** 2))

    model = vi.targets.from_function(density, jnp.zeros(2))

    def fit(**more):
        return vi.KLqp(vi.MeanField(model=model, random_seed=4, start_sigma={"x": [0.3, 0.3]})).fit(
            300, restarts=4, progressbar=False, **more
        )

    whole, path = fit(), tmp_path / "run.vi"
    for at in (40, 150):
        cut(monkeypatch, fit, at, checkpoint=path, every=10)
    assert_same(fit(checkpoint=path, every=10), whole)
    assert whole.record.starts.equals(vi.load(path, whole.model).record.starts)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "make",
    [
        lambda: vi.callbacks.CheckParametersConvergence(diff="absolute", tolerance=1e-2),
        lambda: vi.callbacks.CheckLossConvergence(every=100),
        lambda: vi.callbacks.CheckConvergence(every=50, tolerance=0.3),
    ],
    ids=["parameters", "loss", "errors"],
)
def test_convergence_checks_go_on_where_they_were(make, tmp_path, monkeypatch):
    """Cut before it ends its run, it then ends at the same step, for the same reason."""
    fit, path = named("advi", n=20_000), tmp_path / "run.vi"
    whole = fit(callbacks=[make()])
    assert whole.status.ending == "converged"
    middle = whole.status.step // 2
    cut(monkeypatch, fit, middle, checkpoint=path, every=middle // 3, callbacks=[make()])
    _without_the_last_callback(path)
    assert_same(fit(checkpoint=path, callbacks=[make()]), whole)
    assert_same(fit(checkpoint=path, callbacks=[make()]), whole)


def _without_the_last_callback(path):
    """Let a checkpoint forget the callback that has cut its run."""
    with np.load(path) as file:
        arrays = dict(file)
    meta = json.loads(str(arrays["meta"]))
    meta["checkpoint"]["callbacks"].pop()
    with path.open("wb") as file:
        np.savez(file, **arrays | {"meta": np.array(json.dumps(meta))})


def test_what_ends_in_a_worse_place_goes_back_as_far(tmp_path, monkeypatch):
    """Steps that become far too long: the best state, from before the cut, is reported after it."""
    import jax.numpy as jnp

    scale = 1e-3
    rate = optax.piecewise_constant_schedule(scale / 100, {3000: 3e5})
    model = vi.targets.from_function(lambda x: -0.5 * jnp.sum((x / scale) ** 2), np.zeros(2))

    def fit(**more):
        settings = {"random_seed": 1, "start_sigma": {"x": scale}, "progressbar": False}
        return vi.fit(4000, "advi", model=model, obj_optimizer=vi.adam(rate), **settings, **more)

    whole, path = fit(), tmp_path / "run.vi"
    assert whole.status.ending == "unreliable"
    assert "the state after step 3,000" in whole.status.message
    cut(monkeypatch, fit, 3500, checkpoint=path, every=700)
    assert_same(fit(checkpoint=path), whole)
    assert_same(fit(checkpoint=path), whole)


@pytest.mark.slow
def test_steps_that_were_left_out_are_counted_on(tmp_path, monkeypatch):
    """Log p is NaN beyond 3 sds on one side, at 1 draw of 741: some lie on each side of the cut."""
    import jax.numpy as jnp

    def density(x):
        return -0.5 * jnp.sum(x**2) + jnp.where(jnp.any(x > 3.0), jnp.nan, 0.0)

    model = vi.targets.from_function(density, np.zeros(1))

    def fit(**more):
        advi = vi.ADVI(model=model, random_seed=2, warm_start=False)
        return advi.fit(4000, progressbar=False, **more)

    whole, path = fit(), tmp_path / "run.vi"
    for part in (whole.hist[:2000], whole.hist[2000:]):
        assert np.isnan(part).any()
    cut(monkeypatch, fit, 2300, checkpoint=path, every=500)
    assert_same(fit(checkpoint=path), whole)


def test_an_instance_goes_on_from_where_it_was(tmp_path, monkeypatch):
    """Its seed is its own: that of the file would let it begin anew."""
    model = conjugate_regression().model

    def fit(**more):
        advi = vi.ADVI(model=model, random_seed=4)
        advi.fit(50, progressbar=False)
        return vi.fit(300, advi, progressbar=False, **more)

    path = tmp_path / "run.vi"
    cut(monkeypatch, fit, 160, checkpoint=path, every=20)
    assert_same(fit(checkpoint=path), fit())


@pytest.mark.slow
def test_auto_goes_on_in_its_steps(tmp_path, monkeypatch):
    """Stages before them are made again, to the last bit, and find the checkpoint."""
    from vi.auto import order

    monkeypatch.setattr(order, "is_near", lambda look: False)
    fit, path = named("auto", n=300), tmp_path / "run.vi"
    whole = fit()
    assert "climb" in list(whole.stages["stage"])
    fit(checkpoint=path, every=20)
    begun = json.loads(str(np.load(path)["meta"]))["checkpoint"]["begun"]
    for file in tmp_path.iterdir():
        file.unlink()
    cut(monkeypatch, fit, begun + 130, checkpoint=path, every=20)
    again = fit(checkpoint=path, every=20)
    assert_same(again, whole)
    assert list(again.stages["outcome"]) == list(whole.stages["outcome"])
