"""Few weighted rows have the number, mean and scatter of all: against sums over all rows."""

import numpy as np
import pytest

from vi.targets.sums.weighted_rows import SAMPLE, Columns, weighted_rows

EPS = np.finfo(np.float64).eps


def moments(rows, weights):
    """Number, sum and sum of products of rows."""
    return weights.sum(), weights @ rows, (rows * weights[:, None]).T @ rows


@pytest.mark.parametrize("n", [5, 40, 70_000])
def test_scatters_of_joint_columns(n, rng):
    x = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)) + [1.0, 10.0, -3.0]
    few, weights = weighted_rows(Columns([], [x]))
    assert len(few) == min(n, 4)
    scale = np.abs(x).max() ** 2 * n
    for one, other in zip(moments(few.joint[0], weights), moments(x, np.ones(n)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=8 * np.sqrt(n) * EPS * scale)


def test_scatters_within_separate_columns(rng):
    """A column of its own has its mean and variance, and its covariance with joint ones."""
    x, y = rng.normal(size=(500, 2)), rng.normal(size=(500, 20))
    few, weights = weighted_rows(Columns([], [x], y))
    assert len(few) == 4
    for k in range(20):
        every = np.column_stack([x, y[:, k]])
        some = np.column_stack([few.joint[0], few.separate[:, k]])
        for one, other in zip(moments(some, weights), moments(every, np.ones(500)), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-11)


def test_nothing_cancels_far_from_zero(rng):
    """The variance of a million around 1e6: sums of squares would have lost four digits of it."""
    y = 1e6 + rng.normal(size=100_000)
    few, weights = weighted_rows(Columns([], [], y))
    rows = few.separate
    centred = weights @ (rows - y.mean()) ** 2
    assert centred == pytest.approx(((y - y.mean()) ** 2).sum(), rel=1e-9)


def test_by_keys(rng):
    """Sums within groups; rows of small groups stay as they are."""
    group = np.repeat([4, 7, 9], [200, 2, 300])
    rng.shuffle(group)
    y = rng.normal(size=(502, 1)) + group[:, None]
    few, weights = weighted_rows(Columns([group], [y]))
    assert few.keys[0].tolist() == [4, 4, 7, 7, 9, 9]
    for which in (4, 7, 9):
        here, there = few.keys[0] == which, group == which
        for power in (0, 1, 2):
            assert weights[here] @ few.joint[0][here, 0] ** power == pytest.approx(
                (y[there] ** power).sum(), rel=1e-12
            )


def test_equal_rows_are_counted(rng):
    x, y = rng.integers(3, size=(400, 2)), rng.integers(2, size=400)
    few, weights = weighted_rows(Columns([x, y], []))
    every, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
    found = np.column_stack([*few.keys])
    order = np.lexsort(found.T[::-1])
    np.testing.assert_array_equal(found[order], every)
    np.testing.assert_array_equal(weights[order], counts)


def test_equal_rows_have_no_scatter():
    """One row each, however their mean was rounded."""
    few, weights = weighted_rows(Columns([], [np.full(1000, np.log(3.7))]))
    assert len(few) == 1
    assert weights.tolist() == [1000.0]


def test_too_many(rng):
    assert weighted_rows(Columns([rng.normal(size=2 * SAMPLE)], []), most=SAMPLE) is None
    assert weighted_rows(Columns([np.arange(100)], []), most=50) is None
    assert weighted_rows(Columns([], [rng.normal(size=(100, 60))]), most=50) is None


def test_what_has_no_mean_has_no_few_rows(rng):
    y = np.where(np.arange(300) == 7, -np.inf, rng.normal(size=300))
    assert weighted_rows(Columns([], [y])) is None
