"""Parameters that a user sets: in one place, they count in all."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import vi

QUIET = {"progressbar": False}


def normal():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, shape=2)
        pm.Normal("y", x, 1.0, observed=[1.0, 3.0])
    return model


def fitted(n=20, **options):
    return vi.fit(n, "advi", normal(), 1, **QUIET, **options)


WAYS = {
    "set_params": lambda approx, name, value: approx.set_params({name: value}),
    "shared": lambda approx, name, value: approx.shared_params[name].set_value(value),
}
VALUE = np.array([7.0, -7.0])


@pytest.mark.few(2)
@pytest.mark.parametrize("n", [0, 20])
@pytest.mark.parametrize("way", WAYS)
def test_one_answer_everywhere(way, n):
    approx = fitted(n) if n else vi.MeanField(model=normal(), random_seed=1)
    draws = approx.sample(1000, random_seed=1)["posterior"]["x"].values[0]
    old, std = approx.mean.eval(), approx.std.eval()
    WAYS[way](approx, "mu", VALUE)
    for value in (
        approx.mean.eval(),
        approx.reported["mu"],
        approx.iterate["mu"],
        approx.shared_params["mu"].get_value(),
        approx.record.start["mu"] if n == 0 else approx.state.params["mu"],
    ):
        np.testing.assert_array_equal(value, VALUE)
    moved = approx.sample(1000, random_seed=1)["posterior"]["x"].values[0]
    np.testing.assert_allclose(moved - draws, np.broadcast_to(VALUE - old, moved.shape))
    # a mean of 4,000 draws
    means = approx.summary(random_seed=1)["mean"].to_numpy()
    np.testing.assert_allclose(means, VALUE, atol=5 * std.max() / 4000**0.5)
    expected = -np.log(std).sum() - np.log(2 * np.pi)
    np.testing.assert_allclose(approx.logq(VALUE), expected, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(approx.std.eval()), std)


@pytest.mark.parametrize("way", WAYS)
def test_fits_go_on_from_there(way):
    """The optimum of x is (0.5, 1.5): a step from far away begins far away."""
    approx = fitted(obj_optimizer=vi.sgd(learning_rate=1e-6))
    optimizer = approx.state.optimizer
    WAYS[way](approx, "mu", VALUE)
    assert approx.state.optimizer is optimizer
    assert approx.state.step == 20
    approx.refine(3, **QUIET)
    np.testing.assert_allclose(approx.reported["mu"], VALUE, atol=1e-3)
    # -log p at the start is 53 above that of the optimum, to 1e-3 of it by the noise of q's draws
    assert approx.hist[-3:].min() > approx.hist[:20].max() + 20


def test_a_copy_and_a_file_have_them(tmp_path):
    approx = fitted()
    approx.shared_params["mu"].set_value(VALUE)
    approx.save(tmp_path / "q.vi")
    again = vi.load(tmp_path / "q.vi", model=approx.model)
    np.testing.assert_array_equal(again.reported["mu"], VALUE)


def test_evidence_of_other_parameters_is_gone():
    approx = vi.fit(method="laplace", model=normal(), **QUIET)
    assert "log_evidence" in approx.settings()
    name = next(iter(approx.reported))
    approx.set_params({name: np.asarray(approx.reported[name]) + 1})
    assert "log_evidence" not in approx.settings()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"nu": VALUE}, "no parameter 'nu'; there are mu, rho"),
        ({"mu": np.zeros(3)}, r"float64 \(2,\), got float64 \(3,\)"),
        ({"mu": np.array([1.0, np.nan])}, "not finite"),
        ({"mu": np.array(["a", "b"])}, "got <U1"),
        ({"mu": VALUE * 1j}, "got complex128"),
    ],
)
def test_what_cannot_be_set(params, says):
    approx = fitted()
    before = approx.record
    with pytest.raises(ValueError, match=says):
        approx.set_params(params)
    assert approx.record is before


def test_a_list_is_no_mapping():
    with pytest.raises(TypeError, match="by name"):
        fitted().set_params([1.0])


def test_what_cannot_be_written_is_put_back():
    approx = fitted()
    before = approx.reported["mu"]
    approx.shared_params["mu"].set_value(np.zeros(5))
    with pytest.raises(ValueError, match="got float64"):
        approx.sample(3)
    np.testing.assert_array_equal(
        approx.sample(3, random_seed=1)["posterior"]["x"].shape, (1, 3, 2)
    )
    np.testing.assert_array_equal(approx.shared_params["mu"].get_value(), before)


def test_within_a_run_it_is_refused():
    def interfere(approx, losses, i):
        if i == 3:
            approx.shared_params["mu"].set_value(VALUE)

    approx = vi.MeanField(model=normal(), random_seed=1)
    with pytest.raises(RuntimeError, match=r"set during a run \(mu\)"):
        vi.KLqp(approx).fit(10, callbacks=[interfere], **QUIET)
    assert (approx.status.ending, approx.status.step) == ("failed", 4)
    assert np.all(np.abs(approx.reported["mu"]) < 3)


def test_written_by_the_callback_that_ends_the_run():
    def end(approx, losses, i):
        approx.shared_params["mu"].set_value(VALUE)
        raise StopIteration("there")

    approx = vi.MeanField(model=normal(), random_seed=1)
    vi.KLqp(approx).fit(10, callbacks=[end], **QUIET)
    np.testing.assert_array_equal(approx.reported["mu"], VALUE)
