"""A rare draw at which log p is not finite is left out; more of them are a divergence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi

BEYOND = 3.0


def log_p(edge):
    """A standard normal, whose gradient is lost beyond an edge on one side."""

    def function(x):
        value = -0.5 * jnp.sum(x**2)
        return value + jnp.where(jnp.any(x > edge), jnp.nan, 0.0)

    return function


def fitted(n, edge, backend="auto", **options):
    return vi.fit(
        log_p(edge),
        n,
        "advi",
        init=np.zeros(1),
        random_seed=2,
        progressbar=False,
        backend=backend,
        inf_kwargs={"warm_start": False},
        **options,
    )


@pytest.mark.slow
def test_a_rare_one_is_left_out_and_counted():
    """Beyond 3 sds lies 1 draw of 741: 5.4 of 4,000; none with chance 5e-3, over 17 with 1e-5."""
    approx = fitted(4000, BEYOND)
    left_out = int(np.isnan(approx.hist).sum())
    assert 0 < left_out <= 17
    assert f"{left_out} steps of this run were left out" in approx.status.message
    assert approx.status.ending == "max_steps"
    assert "nan" not in approx.status.message.split("average loss")[1].split(";")[0]
    assert len(approx.hist) == 4000 == int(approx.state.step)
    # what is left out moves q by its weight, a thousandth
    np.testing.assert_allclose(approx.mean.eval(), 0.0, atol=0.1)


def test_it_is_one_run_however_it_is_cut():
    whole, cut = fitted(2000, BEYOND), fitted(700, BEYOND)
    cut.refine(1300, progressbar=False)
    np.testing.assert_array_equal(whole.hist, cut.hist)
    np.testing.assert_array_equal(whole.mean.eval(), cut.mean.eval())


def test_callbacks_go_on():
    seen = []
    approx = fitted(2000, BEYOND, callbacks=[lambda approx, losses, i: seen.append(losses[-1])])
    assert np.isnan(approx.hist).any()
    np.testing.assert_array_equal(np.array(seen)[-1], approx.hist[-1])


@pytest.mark.parametrize("edge", [0.5, -5.0])
def test_many_are_a_divergence_at_the_first_step_that_cannot_be_left_out(edge):
    """A third of the draws, or all of them."""
    with pytest.raises((vi.DivergedError, ValueError)) as caught:
        fitted(4000, edge)
    if isinstance(caught.value, vi.DivergedError):
        approx = caught.value.approx
        assert np.isnan(approx.hist).sum() <= 12
        assert np.isfinite(approx.mean.eval()).all()
    jax.clear_caches()
