"""A run that ends in nonsense says so, and reports the best state that it has seen."""

import jax.numpy as jnp
import numpy as np
import pymc as pm

import vi

SCALE = 1e-3


def log_p(x):
    return -0.5 * jnp.sum((x / SCALE) ** 2)


def too_long_at_last(count):
    """Steps of 1e-5 at first, which are a hundredth of an sd, and of 3 from step 3,400 on."""
    return jnp.where(count < 3400, 1e-5, 3.0)


def fitted(n, **options):
    return vi.fit(
        log_p,
        n,
        "advi",
        init=np.zeros(2),
        start_sigma={"x": SCALE},
        random_seed=1,
        progressbar=False,
        obj_optimizer=vi.adam(too_long_at_last),
        **options,
    )


def test_the_best_state_is_reported_and_gone_on_from():
    approx = fitted(4000)
    assert approx.status.ending == "unreliable"
    assert "the loss" in approx.status.message
    assert "the state after step 3,000" in approx.status.message
    good = fitted(3000)
    assert good.status.ending == "max_steps"
    np.testing.assert_array_equal(approx.hist[:3000], good.hist)
    assert len(approx.hist) == 4000
    for name, value in good.reported.items():
        np.testing.assert_array_equal(approx.reported[name], value)
    approx.refine(10, progressbar=False)
    assert len(approx.hist) == 4010
    assert int(approx.state.step) == 4010


def test_it_is_saved_and_loaded(tmp_path):
    approx = fitted(4000)
    approx.save(tmp_path / "fit.npz")
    loaded = vi.load(
        tmp_path / "fit.npz", model=approx.model, obj_optimizer=vi.adam(too_long_at_last)
    )
    assert loaded.status == approx.status
    np.testing.assert_array_equal(loaded.mean.eval(), approx.mean.eval())


def test_the_cut_of_a_run_has_no_say():
    """Chunks end on callbacks' steps too; the state that is kept is the same."""
    seen = []
    watched = fitted(4000, callbacks=[lambda approx, losses, i: seen.append(i)])
    assert len(seen) == 4000
    np.testing.assert_array_equal(watched.mean.eval(), fitted(4000).mean.eval())


def test_losses_of_another_algorithm_say_nothing_of_this_one(tmp_path):
    """A tenth of the last thousand are wild ones, which the second fit has nothing of."""
    with pm.Model() as model:
        pm.Normal("x", 0, SCALE, shape=2)
    inference = vi.ADVI(model=model, start_sigma={"x": SCALE}, random_seed=1)
    quiet = {"progressbar": False}
    approx = inference.fit(3500, obj_optimizer=vi.adam(too_long_at_last), **quiet)
    assert approx.status.ending == "unreliable"
    approx = inference.fit(900, obj_optimizer=vi.adam(1e-6), **quiet)
    assert approx.status.ending == "max_steps", approx.status
    assert len(approx.hist) == 4400
    approx.save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model=approx.model, obj_optimizer=vi.adam(1e-6))
    loaded.refine(100, **quiet)
    approx.refine(100, **quiet)
    assert loaded.status == approx.status
    assert approx.status.ending == "max_steps", approx.status
