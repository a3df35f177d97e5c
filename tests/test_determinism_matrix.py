"""The same bits whatever is combined: method, backend, chunks, callbacks, bar, cuts, threads."""

from __future__ import annotations

import itertools
import threading
import zlib

import numpy as np
import pytest
from checkpointed import cut
from methods import in_steps
from problems import conjugate_regression

import vi
from vi.training import loop

N = 120
METHODS = [name for name, kind in vi.METHODS.items() if in_steps(kind) and name != "nfvi"]
CHUNKS = (None, 1, 7, 64)
CUTS = ("whole", "refine", "file", "checkpoint")
MATRIX = list(itertools.product(CHUNKS, (False, True), (False, True), CUTS, (False, True)))
"""Length of chunks, callbacks, bar, how the run is cut, and whether other threads are busy."""

EACH = 16
"""Combinations of each method and backend, drawn at random: all 128 would take an hour."""


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


def combined(method, backend, how, folder, monkeypatch):
    """A fit in one of the combinations."""
    chunk, watched, bar, cuts, threads = how
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


def drawn(method, backend):
    """Some combinations, always the same; among them one of each kind of cut beside threads."""
    generator = np.random.default_rng(zlib.crc32(f"{method} {backend}".encode()))
    chosen = [MATRIX[i] for i in generator.choice(len(MATRIX), EACH - len(CUTS), replace=False)]
    return [*chosen, *((7, True, True, cuts, True) for cuts in CUTS)]


def assert_all_the_same(method, backend, combinations, tmp_path, monkeypatch):
    plain = bits(fit(method, backend))
    for number, how in enumerate(combinations):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = combined(method, backend, how, folder, monkeypatch)
        assert found.keys() == plain.keys()
        for name, value in plain.items():
            np.testing.assert_array_equal(value, found[name], err_msg=f"{name}: {how}")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("method", METHODS)
def test_combinations(method, backend, tmp_path, monkeypatch):
    assert_all_the_same(method, backend, drawn(method, backend), tmp_path, monkeypatch)


@pytest.mark.parametrize("cuts", CUTS)
def test_beside_three_other_threads(cuts, tmp_path, monkeypatch):
    how = (7, True, False, cuts, True)
    assert_all_the_same("advi", "jax", [how], tmp_path, monkeypatch)
