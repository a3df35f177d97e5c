"""Same seed, same numbers, bit for bit: whatever the chunks, the callbacks, the bar, and however
the run is cut.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from methods import fits_any, in_steps
from problems import conjugate_regression

import vi
from vi.training import loop

BACKENDS = ["jax", "pytensor"]
METHODS = [
    pytest.param(method, marks=pytest.mark.slow if method is vi.NFVI else ())
    for method in vi.METHODS.values()
    if in_steps(method) and fits_any(method)
]
IN_ONE_GO = [method for method in vi.METHODS.values() if not method.stepwise]


def run(method, backend, *, cuts=(300,), seed=4, callbacks=None, progressbar=False, **options):
    inference = method(model=conjugate_regression().model, random_seed=seed)
    inference.fit(cuts[0], backend=backend, callbacks=callbacks, progressbar=progressbar, **options)
    for n in cuts[1:]:
        inference.refine(n, progressbar=progressbar)
    return inference.approx


def moving(method):
    """Steps that surely move: batch and match ends at this normal, to the last bit, after ten."""
    return min(20, method.default_n // 10)


def assert_same(one, two):
    np.testing.assert_array_equal(one.hist, two.hist)
    for name, value in one.iterate.items():
        np.testing.assert_array_equal(value, two.iterate[name])
    for name, value in one.shared_params.items():
        np.testing.assert_array_equal(value.get_value(), two.shared_params[name].get_value())


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=METHODS, ids=lambda method: method.__name__)
def method(request):
    return request.param


@pytest.mark.few(3)
def test_same_seed_same_numbers(method, backend):
    assert_same(run(method, backend), run(method, backend))


@pytest.mark.few(2)
def test_other_seed_other_numbers(method, backend):
    one, two = run(method, backend), run(method, backend, seed=5)
    n = None if method.default_n == vi.Inference.default_n else moving(method)
    assert not np.any(one.hist[:n] == two.hist[:n])


@pytest.mark.few(3)
def test_two_steps_differ(method, backend):
    """The random state moves: neither the losses nor the parameters of two steps are equal."""
    tracker = vi.callbacks.Tracker(
        first=lambda approx, losses, i: next(iter(approx.iterate.values()))
    )
    n = moving(method)
    approx = run(method, backend, cuts=(n,), callbacks=[tracker], score=True)
    assert len(np.unique(approx.hist)) == n
    assert len(np.unique(np.stack(tracker["first"]).reshape(n, -1)[:, 0])) == n


@pytest.mark.few(2)
def test_score_false_keeps_no_losses_but_moves_the_random_state(method, backend):
    """PyMC freezes its random state when the loss is not asked for.

    Here the same run just keeps no losses.
    """
    silent, spoken = run(method, backend, score=False), run(method, backend)
    assert len(silent.hist) == 0
    for name, value in spoken.iterate.items():
        np.testing.assert_array_equal(value, silent.iterate[name])


@pytest.mark.few(4)
@pytest.mark.parametrize("cuts", [(100, 200), (1, 299), (133, 133, 34)])
def test_fit_then_refine_is_one_longer_fit(method, backend, cuts):
    assert_same(run(method, backend, cuts=cuts), run(method, backend))


@pytest.mark.few(8)
@pytest.mark.parametrize("limit", [1, 7, 64])
def test_chunk_length_changes_nothing(method, backend, limit, monkeypatch):
    whole = run(method, backend)
    monkeypatch.setattr(loop, "_next_limit", lambda *_: limit)
    assert_same(run(method, backend), whole)


@pytest.mark.few(4)
def test_callbacks_and_bar_change_nothing(method, backend):
    seen = []
    watched = run(
        method,
        backend,
        callbacks=[
            lambda approx, losses, i: seen.append(i),
            vi.callbacks.Tracker(every=13, mean=lambda a, h, i: i),
        ],
        progressbar=True,
    )
    assert seen == list(range(1, 301))
    assert_same(watched, run(method, backend))


@pytest.mark.few(1)
def test_copies_go_on_like_the_original(method, backend, tmp_path):
    """A deep copy, a pickle and a file, each refined, equal the run that was never cut."""
    whole = run(method, backend, cuts=(100, 200))
    cut = run(method, backend, cuts=(100,))
    cut.save(tmp_path / "fit.npz")
    copies = {
        "deepcopy": copy.deepcopy(cut),
        "pickle": pickle.loads(pickle.dumps(cut)),
        "file": vi.load(tmp_path / "fit.npz", model=conjugate_regression().model),
    }
    for twin in copies.values():
        assert_same(twin, cut)
        twin.refine(200, progressbar=False)
        assert_same(twin, whole)
    assert len(cut.hist) == 100, "the original does not follow its copies"


@pytest.mark.few(1)
@pytest.mark.parametrize("found", IN_ONE_GO, ids=lambda method: method.__name__)
def test_what_is_found_in_one_go(found, backend, tmp_path):
    """The same again, and in a deep copy, a pickle and a file."""
    approx = run(found, backend)
    assert_same(run(found, backend), approx)
    approx.save(tmp_path / "fit.npz")
    copies = {
        "deepcopy": copy.deepcopy(approx),
        "pickle": pickle.loads(pickle.dumps(approx)),
        "file": vi.load(tmp_path / "fit.npz", model=conjugate_regression().model),
    }
    for twin in copies.values():
        assert_same(twin, approx)
        assert twin.settings() == approx.settings()


def test_user_schedule_that_depends_on_n_breaks_the_equality():
    """Documented: with a schedule of length n, fit + refine is not one longer fit (so the tests
    above can fail).
    """
    import optax

    def fit(cuts):
        schedule = optax.cosine_decay_schedule(0.1, cuts[0])
        return run(vi.ADVI, "jax", cuts=cuts, obj_optimizer=vi.adam(learning_rate=schedule))

    assert not np.array_equal(fit((100, 200)).hist, fit((300,)).hist)
