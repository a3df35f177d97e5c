"""Paths of iterates: what is known of the point that they go round, and whether they do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from vi.diagnostics.settling import settling


def going_round(rng, paths, length=400, memory=0.5):
    """Autoregressions around 0 with standard deviation 1, ``(length, paths)``."""
    shocks = np.sqrt(1 - memory**2) * rng.normal(size=(length + 100, paths))
    return lfilter([1.0], [1.0, -memory], shocks, axis=0)[100:]


def test_as_many_are_off_as_are_expected(rng):
    """Of 1,000 means with errors of sqrt(3 / 400), a third is off by more than that error.

    That count is known to 5 %; an error that is estimated with 130 effective draws to 6 %,
    all of them together to less, but for the estimator's bias.
    """
    path = going_round(rng, 1_000)
    mean = path.mean(axis=0)
    found = settling(path, mean, np.sqrt(3 / 400))
    actual = np.sum(np.abs(mean) > np.sqrt(3 / 400))
    assert abs(found.expected / actual - 1) < 0.15
    assert found.rhat < 1.05  # sqrt(1 + 2.7 / 67): the 90 % point of chi squared, draws of a half


def test_a_reported_value_apart_from_the_mean_is_off(rng):
    """By as much as the tolerance: one in two, whichever way it was made."""
    path = going_round(rng, 50)
    mean = path.mean(axis=0)
    assert settling(path, mean, 0.5).expected < 0.5  # six errors, in Student's t
    assert 20 < settling(path, mean + 0.5, 0.5).expected < 30
    assert settling(path, path[-1], 0.5).expected > 20  # two thirds of a normal lie beyond 0.5 sd


def test_a_path_that_travels(rng):
    """By four of its sds: R-hat squared is 1 + (4^2 / 8) / (1 + 4^2 / 48) = 2.5."""
    path = going_round(rng, 20) + np.linspace(0.0, 4.0, 400)[:, None]
    found = settling(path, path.mean(axis=0), 10.0)
    assert found.rhat == pytest.approx(np.sqrt(2.5), rel=0.1)
    assert not found.within(1.1)


def test_one_traveller_among_many_is_expected_to_be_off(rng):
    """R-hat of nine tenths does not see it; its few effective draws do."""
    path = 0.05 * going_round(rng, 20)
    path[:, 0] += np.linspace(0.0, 0.4, 400)
    found = settling(path, path.mean(axis=0), 0.1)
    assert found.rhat < 1.1
    assert not found.within(1.1)


def test_what_comes_to_rest_and_what_crawls():
    steps = np.arange(400)
    rests, crawls = 0.005 * np.exp(-steps / 50), 0.005 * steps / 400
    assert settling(rests[:, None], rests[-1:], 0.1).within(1.1)
    assert not settling(crawls[:, None], crawls[-1:], 0.1).within(1.1)
    frozen = np.full((400, 2), 3.0)
    assert settling(frozen, frozen[-1], 0.1).within(1.1)


def test_some_of_many_stand_for_all(rng):
    path = going_round(rng, 10)
    some, all_of_them = (settling(path, path.mean(axis=0), 0.2, dim=dim) for dim in (None, 1_000))
    assert all_of_them.expected == pytest.approx(100 * some.expected)
