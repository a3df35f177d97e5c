"""The loop: callbacks on exactly their steps, every way in which a run can end, and nothing lost
in any of them.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import threading

import numpy as np
import optax
import pymc as pm
import pytest
from problems import conjugate_normal
from pymc.variational import callbacks as pymc_callbacks

import vi
from vi.callbacks import Callback, CheckParametersConvergence, Tracker
from vi.training import check_callbacks


@pytest.fixture(params=["jax", "pytensor"])
def backend(request):
    return request.param


def advi(**options):
    return vi.ADVI(model=conjugate_normal().model, random_seed=1, **options)


class Recorder(Callback):
    """Keeps what it is called with."""

    def __init__(self, every):
        super().__init__(every)
        self.calls = []

    def __call__(self, approx, losses, i):
        self.calls.append((i, len(losses), float(losses[-1]), approx.mean.eval().copy()))


def test_callbacks_run_on_exactly_their_steps_and_see_that_step(backend):
    """What a callback of a stride sees at step i is what one of every step sees there."""
    often, seldom = Recorder(1), Recorder(7)
    inference = advi()
    inference.fit(40, callbacks=[often, seldom], backend=backend, progressbar=False)
    assert [call[0] for call in often.calls] == list(range(1, 41))
    assert [call[0] for call in seldom.calls] == [7, 14, 21, 28, 35]
    for i, count, loss, mean in seldom.calls:
        assert count == i
        assert loss == inference.hist[i - 1]
        assert often.calls[i - 1][1:3] == (count, loss)
        np.testing.assert_array_equal(often.calls[i - 1][3], mean)


def test_refine_goes_on_counting_and_calls_the_same_callbacks(backend):
    recorder = Recorder(10)
    inference = advi()
    inference.fit(15, callbacks=[recorder], backend=backend, progressbar=False)
    inference.refine(20, progressbar=False)
    assert [call[0] for call in recorder.calls] == [10, 20, 30]
    assert len(inference.hist) == 35
    np.testing.assert_array_equal(inference.hist, inference.approx.hist)


@pytest.mark.parametrize("stop", [1, 5, 9, 23])
def test_stop_iteration_ends_the_run_at_its_step(backend, stop):
    def callback(approx, losses, i):
        if i == stop:
            raise StopIteration("seen enough")

    inference = advi()
    approx = inference.fit(100, callbacks=[callback], backend=backend, progressbar=False)
    assert len(inference.hist) == stop
    assert int(inference.state.step) == stop
    assert approx.status.ending == "stopped"
    assert approx.status.step == stop
    assert "seen enough" in approx.status.message
    full = advi().fit(stop, backend=backend, progressbar=False)
    np.testing.assert_array_equal(full.hist, inference.hist)


def test_an_error_in_a_callback_is_the_users_own_and_nothing_is_lost(backend):
    def callback(approx, losses, i):
        if i == 12:
            raise ZeroDivisionError("mine")

    inference = advi()
    with pytest.raises(ZeroDivisionError, match="mine"):
        inference.fit(100, callbacks=[callback], backend=backend, progressbar=False)
    assert len(inference.hist) == 12
    inference.approx.refine(8, callbacks=[], progressbar=False)
    np.testing.assert_array_equal(
        inference.hist, advi().fit(20, backend=backend, progressbar=False).hist
    )


def test_keyboard_interrupt_in_a_callback_keeps_everything(backend):
    def callback(approx, losses, i):
        if i == 6:
            raise KeyboardInterrupt

    inference = advi()
    approx = inference.fit(100, callbacks=[callback], backend=backend, progressbar=False)
    assert approx.status.ending == "interrupted"
    assert len(inference.hist) == 6


@pytest.fixture
def interruptible():
    """Python's usual handler of Ctrl-C.

    A test run in the background may have inherited that it is ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_the_run_at_a_chunk_boundary(backend, caplog):
    """A real SIGINT during a long run; the run says so, keeps all steps so far, and can be
    refined.
    """
    inference = advi()
    inference.fit(1, backend=backend, progressbar=False)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with caplog.at_level(logging.INFO, logger="vi"):
        inference.refine(10**9, progressbar=False)
    timer.join()
    assert inference.status.ending == "interrupted"
    assert "interrupted" in caplog.text
    done = len(inference.hist)
    assert 1 < done < 10**9
    assert int(inference.state.step) == done
    inference.refine(5, progressbar=False)
    assert len(inference.hist) == done + 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def diverging_model():
    """log p is -inf outside (0, 1), without a transform that keeps q inside."""
    with pm.Model() as model:
        pm.Normal("fine", 0.0, 1.0, shape=2)
        pm.Uniform("bounded", 0.0, 1.0, default_transform=None, initval=0.5)
    return model


@pytest.mark.few(1)
def test_divergence_names_variable_and_step_and_keeps_the_last_finite_state(backend):
    inference = vi.ADVI(model=diverging_model(), random_seed=1, start_sigma={"bounded": 0.05})
    with pytest.raises(FloatingPointError, match="step") as caught:
        inference.fit(5_000, backend=backend, progressbar=False)
    assert inference.status.ending == "diverged"
    assert caught.value.approx is inference.approx
    done = len(inference.hist)
    assert done > 0
    assert f"step {done + 1}" in str(caught.value)
    assert "bounded" in str(caught.value)
    assert not np.isnan(inference.hist[-1])  # those left out before it are NaN
    assert all(np.all(np.isfinite(value)) for value in inference.approx.iterate.values())
    assert np.isfinite(
        inference.approx.sample(5, random_seed=0, log_prob=False)["posterior"]["fine"]
    ).all()
    expected = vi.ADVI(model=diverging_model(), random_seed=1, start_sigma={"bounded": 0.05})
    expected.fit(done, backend=backend, progressbar=False)
    for name, value in expected.approx.iterate.items():
        np.testing.assert_array_equal(value, inference.approx.iterate[name])


def test_an_overflowing_update_keeps_finite_parameters(backend):
    inference = advi()
    with pytest.raises(vi.DivergedError):
        inference.fit(
            200, obj_optimizer=vi.sgd(learning_rate=1e200), backend=backend, progressbar=False
        )
    assert all(np.all(np.isfinite(value)) for value in inference.approx.iterate.values())


def test_status_of_a_whole_run(backend):
    approx = advi().fit(50, backend=backend, progressbar=False)
    assert (approx.status.ending, approx.status.step) == ("max_steps", 50)


def test_fit_zero_initialises_only(backend):
    inference = advi()
    approx = inference.fit(0, backend=backend, progressbar=False)
    assert approx.status.ending == "initialised"
    assert len(inference.hist) == 0
    assert approx.sample(3, random_seed=0)["posterior"].sizes["draw"] == 3
    inference.refine(10, progressbar=False)
    np.testing.assert_array_equal(
        inference.hist, advi().fit(10, backend=backend, progressbar=False).hist
    )


def test_step_does_one_step(backend):
    inference = advi()
    losses = [inference.step() for _ in range(3)]
    np.testing.assert_array_equal(losses, inference.hist)


def test_second_fit_goes_on_with_a_fresh_optimiser(backend):
    inference = advi()
    inference.fit(100, backend=backend, progressbar=False)
    before = inference.approx.iterate["mu"]
    inference.fit(1, obj_optimizer=vi.sgd(learning_rate=1e-12), backend=backend, progressbar=False)
    assert len(inference.hist) == 101
    np.testing.assert_allclose(inference.approx.iterate["mu"], before, atol=1e-9)


def test_runs_in_a_thread():
    """Without a main thread there is no signal handling, and no error."""
    results = []
    thread = threading.Thread(
        target=lambda: results.append(advi().fit(20, backend="jax", progressbar=False))
    )
    thread.start()
    thread.join()
    assert len(results[0].hist) == 20


def test_any_optax_transformation(backend):
    optimizer = optax.chain(optax.clip(1.0), optax.adam(optax.exponential_decay(0.05, 100, 0.9)))
    approx = advi().fit(
        3_000, obj_optimizer=optimizer, averaging="polynomial", backend=backend, progressbar=False
    )
    exact = conjugate_normal()
    assert abs(approx.mean.eval()[0] - exact.mean[0]) < 0.2 * np.sqrt(exact.cov[0, 0])


def test_total_grad_norm_constraint(backend):
    """One step of plain descent is no longer than rate x constraint."""
    inference = advi()
    start = np.concatenate([value.ravel() for value in inference.approx.iterate.values()])
    inference.fit(
        1,
        obj_optimizer=vi.sgd(learning_rate=1.0),
        total_grad_norm_constraint=1e-3,
        backend=backend,
        progressbar=False,
    )
    end = np.concatenate([value.ravel() for value in inference.approx.iterate.values()])
    assert np.linalg.norm(end - start) == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.few(1)
def test_averaging_is_reported_during_and_after_the_run(backend):
    """With weights that do not depend on n: eta = 0 reports the plain mean of all iterates."""
    iterates, reports = [], []

    def record(approx, losses, i):
        iterates.append(approx.iterate["mu"][0])
        reports.append(approx.shared_params["mu"].get_value()[0])

    inference = advi()
    inference.fit(
        25,
        callbacks=[record],
        averaging=vi.PolynomialAverage(eta=0.0),
        backend=backend,
        progressbar=False,
    )
    np.testing.assert_allclose(reports, np.cumsum(iterates) / np.arange(1, 26), rtol=1e-12)
    assert inference.approx.mean.eval()[0] == reports[-1]


def test_tracker_decides_how_to_call_once():
    calls = []
    tracker = Tracker(
        none=lambda: calls.append("none") or 1,
        three=lambda approx, losses, i: i,
        default=lambda approx=None: approx,
        builtin=dict,
    )
    advi().fit(3, callbacks=[tracker], backend="jax", progressbar=False)
    assert tracker["none"] == [1, 1, 1]
    assert tracker["three"] == [1, 2, 3]
    assert tracker["default"] == [None, None, None]
    assert tracker["builtin"] == [{}, {}, {}]
    assert tracker.hist["three"] == [1, 2, 3]
    tracker.clear()
    assert tracker["three"] == []


def test_tracker_refuses_what_it_cannot_call():
    with pytest.raises(TypeError, match="two"):
        Tracker(two=lambda a, b: None)
    with pytest.raises(TypeError, match="eval"):
        Tracker(value=3.0)
    with pytest.raises(KeyError, match="nothing"):
        Tracker()["x"]


def test_an_error_inside_a_tracked_function_is_its_own():
    def broken():
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        advi().fit(3, callbacks=[Tracker(broken=broken)], backend="jax", progressbar=False)


def test_convergence_check_matches_its_formula(backend):
    """The run ends at the first check at which the change of the reported parameters is below
    the tolerance.
    """
    params = Tracker(
        every=50, params=lambda a, h, i: np.concatenate([p.get_value().ravel() for p in a.params])
    )
    check = CheckParametersConvergence(every=50, tolerance=5e-3, diff="absolute")
    inference = advi()
    approx = inference.fit(20_000, callbacks=[params, check], backend=backend, progressbar=False)
    changes = np.abs(np.diff(np.stack(params["params"]), axis=0)).max(axis=1)
    assert approx.status.ending == "converged"
    assert changes[-1] < 5e-3
    assert np.all(changes[:-1] >= 5e-3)
    assert len(inference.hist) == 50 * len(params["params"])


@pytest.mark.parametrize("diff", ["relative", "absolute"])
def test_pymc_callbacks_run_unchanged(backend, diff):
    tracker = pymc_callbacks.Tracker(
        mean=lambda approx, losses, i: approx.mean.eval(), loss=lambda a, h, i: h[-1]
    )
    check = pymc_callbacks.CheckParametersConvergence(every=50, tolerance=1e-2, diff=diff)
    inference = advi()
    approx = inference.fit(5_000, callbacks=[tracker, check], backend=backend, progressbar=False)
    assert approx.status.ending == "stopped"
    np.testing.assert_array_equal(tracker["loss"], inference.hist)


def test_status_during_a_run_and_after_an_error(backend):
    seen = []

    def callback(approx, losses, i):
        seen.append((approx.status.ending, approx.status.step))
        if i == 3:
            raise ValueError("mine")

    inference = advi()
    with pytest.raises(ValueError, match="mine"):
        inference.fit(20, callbacks=[callback], backend=backend, progressbar=False)
    assert seen == [("running", 1), ("running", 2), ("running", 3)]
    assert (inference.status.ending, inference.status.step) == ("failed", 3)
    assert "ValueError" in inference.status.message


def test_refine_zero_keeps_the_status():
    inference = advi()
    inference.fit(5, backend="jax", progressbar=False)
    before = inference.status
    inference.refine(0, progressbar=False)
    assert inference.status == before


@pytest.mark.parametrize("action", ["refine", "restart", "fit"])
def test_a_run_cannot_be_changed_from_its_own_callback(action):
    inference = advi()
    actions = {
        "refine": lambda: inference.approx.refine(5, progressbar=False),
        "restart": inference.approx.restart,
        "fit": lambda: inference.fit(5, progressbar=False),
    }
    with pytest.raises(RuntimeError, match="is being fitted"):
        inference.fit(
            10, callbacks=[lambda *_: actions[action]()], backend="jax", progressbar=False
        )
    inference.approx.refine(5, callbacks=[], progressbar=False)
    assert len(inference.hist) == 6


def test_another_fit_inside_a_callback_changes_nothing():
    def callback(approx, losses, i):
        if i == 5:
            advi().fit(10, backend="jax", progressbar=False)

    nested = advi().fit(10, callbacks=[callback], backend="jax", progressbar=False)
    np.testing.assert_array_equal(
        nested.hist, advi().fit(10, backend="jax", progressbar=False).hist
    )


def test_refines_own_callbacks_are_for_that_run_only():
    recorder = Recorder(1)
    inference = advi()
    inference.fit(2, callbacks=[recorder], backend="jax", progressbar=False)
    inference.approx.refine(2, callbacks=[], progressbar=False)
    with pytest.raises(TypeError, match="cannot be called"):
        inference.approx.refine(2, callbacks=[5], progressbar=False)
    inference.approx.refine(2, progressbar=False)
    assert [call[0] for call in recorder.calls] == [1, 2, 5, 6]


def test_a_callback_class_is_no_callback():
    with pytest.raises(TypeError, match=r"make one: Tracker\("):
        advi().fit(3, callbacks=[Tracker], progressbar=False)


def test_an_unfinished_run_says_so():
    """Far from the optimum with tiny steps the loss is still falling at the end.

    At the optimum it is not.
    """
    far = advi(start={"mu": 50.0}).fit(
        2_000, obj_optimizer=vi.adam(learning_rate=1e-3), backend="jax", progressbar=False
    )
    assert "still falling" in far.status.message
    assert (
        "still falling" not in advi().fit(10_000, backend="jax", progressbar=False).status.message
    )


def test_threads_share_a_model(backend):
    """Two fits of one model at once give what they give alone: no buffer is shared between them."""

    def fit(seed):
        approx = vi.fit(
            2_000,
            method="advi",
            model=conjugate_normal().model,
            random_seed=seed,
            backend=backend,
            progressbar=False,
        )
        return approx.hist

    alone = [fit(seed) for seed in (1, 2)]
    together = [None, None]

    def work(i):
        together[i] = fit(i + 1)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(alone, together)


def test_the_first_chunk_of_a_slow_model_is_short(monkeypatch):
    """Ctrl-C must not wait for many slow steps: chunks start at one step and are doubled."""
    from vi.training import compiled as runners

    asked = []
    run = runners.CompiledRunner.run
    monkeypatch.setattr(
        runners.CompiledRunner,
        "run",
        lambda self, state, batch, n: asked.append(n) or run(self, state, batch, n),
    )
    advi().fit(100, backend="jax", progressbar=False)
    assert asked[:3] == [0, 0, 1]  # compiles, then measures what a chunk costs beside its steps
    assert all(later <= 2 * earlier for earlier, later in itertools.pairwise(asked[2:]))


async def asynchronous(approx, losses, i):
    pass


def generator(approx, losses, i):
    yield


class Generates:
    def __call__(self, approx, losses, i):
        yield


@pytest.mark.parametrize(
    ("callback", "says"),
    [
        (lambda approx, i: None, r"\(approx, i\) in callbacks cannot be called with \(approx, los"),
        (lambda: None, r"cannot be called with \(approx, losses, i\)"),
        (lambda *, approx, losses, i: None, r"what a callback gets, by position"),
        (lambda a, b, c, d: None, r"missing a required argument: 'd'"),
        (asynchronous, "asynchronous in callbacks is an async function"),
        (generator, "generator in callbacks is a generator"),
        (Generates(), "Generates in callbacks is a generator"),
        (functools.partial(generator, None), "is a generator"),
    ],
)
def test_what_a_callback_takes_is_looked_at_before_the_first_step(callback, says):
    inference = advi()
    before = inference.approx.record
    with pytest.raises(TypeError, match=says):
        inference.fit(3, callbacks=[callback], progressbar=False)
    assert inference.approx.record is before


def test_whatever_takes_three_arguments_passes():
    class Odd:
        __signature__ = "none"

        def __call__(self, *arguments):
            pass

    check_callbacks(
        [print, min, Odd(), lambda *a: None, lambda a, b, c, d=1: None, Recorder(2), Tracker()]
    )
