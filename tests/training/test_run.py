"""Runs: their data outlive a failing step, and are let go once it has been looked at."""

from __future__ import annotations

import threading

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal

import vi
from vi.approximation.steps.run import run_of

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])


def model():
    """Row 45 of the data has an infinite value of t, which makes log p infinite."""
    with pm.Model() as built:
        t = pm.Data("t", np.zeros(4))
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=t)
    return built


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "vi.data.Stream"]


@BACKENDS
def test_a_streamed_fit_that_diverges_says_at_which_step(backend):
    """The rows of the failing step are of a block in the middle of the stream."""
    rows = np.linspace(-1.0, 1.0, 60)
    rows[45] = np.inf
    source = vi.data.source_from({"t": rows})
    stream = vi.data.Stream(source, 5, shuffle=False, block_batches=2)
    inference = vi.ADVI(model=model(), random_seed=1)
    with pytest.raises(vi.DivergedError, match=r"NaN or infinity at step 10: .*mu") as caught:
        inference.fit(30, data=stream, backend=backend, progressbar=False)
    approx = caught.value.approx
    assert (approx.status.ending, approx.status.step, len(approx.hist)) == ("diverged", 9, 9)
    assert np.isfinite(approx.iterate["mu"]).all()
    assert not readers()
    with pytest.raises(RuntimeError, match="not being read"):
        stream.block(0)


@BACKENDS
def test_an_error_in_a_callback_closes_the_stream(backend):
    def fail(approx, losses, i):
        assert readers()
        raise ZeroDivisionError("mine")

    stream = vi.data.Stream(vi.data.source_from({"t": np.zeros(60)}), 5)
    with pytest.raises(ZeroDivisionError, match="mine"):
        vi.fit(
            30,
            method="advi",
            model=model(),
            data=stream,
            callbacks=[fail],
            backend=backend,
            progressbar=False,
        )
    assert not readers()


@BACKENDS
def test_warming_up_is_no_step(backend):
    approx = vi.fit(7, "advi", conjugate_normal().model, 1, backend=backend, progressbar=False)
    run = run_of(approx.record, approx.target(training=True))
    inputs, until = run.supply.at(run.step)
    before = run.state
    run.warm_up(inputs)
    assert run.state is before
    assert (run.step, len(run.losses)) == (7, 7)
    assert until > 10**9
    losses, finite = run.advance(inputs, 3)
    assert (len(losses), finite, run.step, int(run.state.step)) == (3, True, 10, 10)
    assert int(approx.state.step) == 7, "the approximation follows when the state is committed"


@BACKENDS
def test_the_end_is_told_of_the_losses_of_one_stage(backend):
    """Those of a tempered ELBO are of another kind."""
    exact = conjugate_normal()
    options = {"backend": backend, "progressbar": False}
    first = vi.ADVI(model=exact.model, random_seed=1, beta=100.0).fit(400, **options)
    second = vi.KLqp(first).fit(100, **options)
    message = second.status.message
    assert message.startswith(f"average loss {np.mean(second.hist[-25:]):,.5g}; refine()")
    second.refine(100, progressbar=False)
    message = second.status.message
    assert message.startswith(f"average loss {np.mean(second.hist[-50:]):,.5g}; refine()")
