"""The same bits whatever is combined: method, backend, chunks, callbacks, bar, cuts, threads."""

from __future__ import annotations

import itertools
import threading
import zlib

import numpy as np
import pytest
from checkpointed import cut
from covering import covering
from methods import fits_any, in_steps
from problems import conjugate_regression

import vi
from vi.training import loop

N = 120
METHODS = [
    name
    for name, kind in vi.METHODS.items()
    if in_steps(kind) and fits_any(kind) and name != "nfvi"
]
CHUNKS = (None, 1, 7, 64)
CUTS = ("whole", "refine", "file", "checkpoint")
TWICE = (False, True)
BACKENDS = ("jax", "pytensor")


def combinations(method):
    """Sixteen of the 256 combinations of each method, in which every pair of values occurs.

    Length of chunks, how the run is cut, backend, callbacks, bar, and whether three other threads
    are busy. What goes wrong by one option, or by two together, goes wrong in one of them; all of
    them would take hours.
    """
    seed = zlib.crc32(method.encode())
    return covering([CHUNKS, CUTS], [BACKENDS, TWICE, TWICE, TWICE], seed)


def fit(method, backend, n=N, **options):
    model = conjugate_regression().model
    settings = {"random_seed": 4, "progressbar": False, "model": model, "backend": backend}
    return vi.fit(n, method, **(settings | options))


def bits(approx):
    return {"losses": approx.hist, **approx.iterate, **dict(approx.reported)}


def busy(until):
    """Python work, NumPy work and JAX work, which give way to other threads in their own ways."""
    import jax.numpy as jnp

    matrix, total = np.ones((50, 50)), 0
    while not until.is_set():
        total += sum(range(1000))
        np.linalg.inv(matrix + 50 * np.eye(50))
        jnp.sum(jnp.ones(100)).block_until_ready()


def combined(method, how, folder, monkeypatch):
    """A fit in one of the combinations."""
    chunk, cuts, backend, watched, bar, threads = how
    options = {"progressbar": bar}
    if watched:
        seen = vi.callbacks.Tracker(every=13, mean=lambda a, h, i: i)
        options["callbacks"] = [lambda approx, losses, i: None, seen]
    model, path = conjugate_regression().model, folder / "run.vi"
    done, until = [], threading.Event()
    others = [threading.Thread(target=busy, args=(until,)) for _ in range(3 * threads)]
    for thread in others:
        thread.start()
    try:
        with monkeypatch.context() as patch:
            if chunk is not None:
                patch.setattr(loop, "_next_limit", lambda *_: chunk)
            if cuts == "whole":
                done = fit(method, backend, **options)
            elif cuts == "refine":
                done = fit(method, backend, 50, **options).refine(N - 50, progressbar=bar)
            elif cuts == "file":
                fit(method, backend, 50, **options).save(path)
                done = vi.load(path, model).refine(N - 50, progressbar=bar)
            else:
                options |= {"checkpoint": path, "every": 10}
                cut(patch, lambda **more: fit(method, backend, **more), 59, **options)
                done = fit(method, backend, **options)
    finally:
        until.set()
        for thread in others:
            thread.join()
    return bits(done)


def assert_all_the_same(method, hows, tmp_path, monkeypatch):
    plain = {backend: bits(fit(method, backend)) for backend in {how[2] for how in hows}}
    for number, how in enumerate(hows):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = combined(method, how, folder, monkeypatch)
        assert found.keys() == plain[how[2]].keys()
        for name, value in plain[how[2]].items():
            np.testing.assert_array_equal(value, found[name], err_msg=f"{name}: {how}")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_combinations(method, tmp_path, monkeypatch):
    assert_all_the_same(method, combinations(method), tmp_path, monkeypatch)


@pytest.mark.parametrize("cuts", CUTS)
def test_beside_three_other_threads(cuts, tmp_path, monkeypatch):
    how = (7, cuts, "jax", True, False, True)
    assert_all_the_same("advi", [how], tmp_path, monkeypatch)


@pytest.mark.parametrize("method", METHODS)
def test_every_pair_of_values_occurs(method):
    found = combinations(method)
    assert len(found) == 16
    options = (CHUNKS, CUTS, BACKENDS, TWICE, TWICE, TWICE)
    for (i, one), (j, two) in itertools.combinations(enumerate(options), 2):
        pairs = {(row[i], row[j]) for row in found}
        assert pairs == set(itertools.product(one, two))
