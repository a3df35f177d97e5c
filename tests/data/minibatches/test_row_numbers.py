"""The order of rows: a bijection every epoch, all orders equally likely, the same numbers on the
host and in JAX.
"""

from __future__ import annotations

import itertools
from collections import Counter

import jax
import numpy as np
import pytest

from vi.data.minibatches.row_numbers import Sampling, row_numbers, short_steps

WORDS = np.array([123, 456], np.uint32)
WAYS = [{}, {"drop_last": True}, {"short_last": True}, {"replace": True}]


@pytest.mark.few(2)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("n", "size"), [(1, 1), (10, 3), (12_345, 256)])
def test_host_and_jax_agree(n, size, way):
    sampling = Sampling(size, **way)
    compiled = jax.jit(lambda words, step: row_numbers(words, 1, step, n, sampling))
    for step in (0, 1, 2, 37, 2**31 + 5):
        here = row_numbers(WORDS, 1, step, n, sampling, np)
        np.testing.assert_array_equal(np.asarray(compiled(WORDS, np.uint32(step))), here)
        assert here.max() < n


@pytest.mark.parametrize(("n", "size"), [(2, 1), (10, 3), (97, 10), (1500, 256)])
def test_every_row_once_an_epoch(n, size):
    epochs = 3
    rows = np.concatenate(
        [row_numbers(WORDS, 0, t, n, Sampling(size), np) for t in range(-(-epochs * n // size))]
    )
    for epoch in rows[: epochs * n].reshape(epochs, n):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(n))


def test_dropped_and_short_batches():
    n, size = 10, 4
    for epoch in range(5):
        full = [
            row_numbers(WORDS, 0, 2 * epoch + i, n, Sampling(size, drop_last=True), np)
            for i in range(2)
        ]
        assert len(set(np.concatenate(full))) == 8
        sampling = Sampling(size, short_last=True)
        parts = [row_numbers(WORDS, 0, 3 * epoch + i, n, sampling, np) for i in range(3)]
        assert [bool(short_steps(np.uint32(3 * epoch + i), n, sampling)) for i in range(3)] == [
            False,
            False,
            True,
        ]
        parts[2] = parts[2][: sampling.last_size(n)]
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))


@pytest.mark.slow
def test_every_order_is_equally_likely():
    """Chi squared over the 120 orders of 5 rows: 119 degrees of freedom, five standard
    deviations of sqrt(2 * 119).
    """
    runs = 12_000
    counts = Counter(
        tuple(int(i) for i in row_numbers(WORDS, 0, t, 5, Sampling(5), np)) for t in range(runs)
    )
    assert set(counts) == set(itertools.permutations(range(5)))
    expected = runs / 120
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi2 < 119 + 5 * np.sqrt(2 * 119)


def test_pairs_meet_equally_often_in_a_large_set():
    """Of 2,000 rows in batches of 100, two given neighbours meet with probability 99 / 1999."""
    n, size, epochs = 2000, 100, 60
    batch_of = np.empty((epochs, n), int)
    for t in range(epochs * n // size):
        batch_of[t * size // n, row_numbers(WORDS, 0, t, n, Sampling(size), np)] = t
    for lag in (1, 2, 44, 45, 1000):  # 45 is the width of the network
        met = (batch_of[:, :-lag] == batch_of[:, lag:]).sum()
        trials = epochs * (n - lag)
        p = (size - 1) / (n - 1)
        assert abs(met - trials * p) < 5 * np.sqrt(trials * p)


def test_seeds_and_streams_differ():
    rows = [
        tuple(row_numbers(w, s, 0, 1000, Sampling(10), np))
        for w in ([1, 2], [2, 1], [1, 3])
        for s in (0, 1)
    ]
    assert len(set(rows)) == len(rows)
