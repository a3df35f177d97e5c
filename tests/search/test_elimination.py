"""Orders in which coordinates are taken out: of a series whose steps have two coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from vi.families.ties import ties_of
from vi.search.elimination import dissected, eliminated, fronts
from vi.search.partition import MOST_FRONTS, partition
from vi.search.sparse_factor import several_conditionals


def ladder(steps):
    """A local linear trend: levels and slopes, one after the other."""
    entries = np.zeros((2 * steps, 2 * steps), bool)
    for t in range(steps):
        slope, level = t, steps + t
        entries[slope, level] = True
        if t + 1 < steps:
            entries[slope, slope + 1] = entries[level, level + 1] = entries[slope, level + 1] = True
    return sp.csr_array(entries | entries.T)


def test_a_trend_is_a_chain():
    found = partition(ladder(100), np.empty(0, int))
    assert found is not None
    assert (found.kind, found.groups, found.size) == ("chain", 1, 200)
    assert fronts(found.parents) <= MOST_FRONTS
    # within a band of b, a coordinate is left with two pieces of b, and what is left of its own
    assert max(map(len, found.parents)) <= 3 * found.bandwidth - 1


def test_too_many_entries():
    assert dissected(ladder(20), most=10) is None


@pytest.mark.parametrize("order", [eliminated, dissected])
def test_factors_in_an_order_are_those_of_the_matrix(order):
    rng = np.random.default_rng(1)
    pattern = ladder(9)
    dim = pattern.shape[0]
    parents = order(pattern)
    ties = ties_of((), parents, True)
    matrices = []
    for _ in range(3):
        own = np.triu(pattern.toarray() * rng.normal(size=(dim, dim)))
        matrices.append(own + own.T + 8 * np.eye(dim))
    stack = np.stack(matrices, axis=2)[ties.order][:, ties.order]
    factor = several_conditionals(
        ties,
        np.stack([np.diag(m) for m in np.moveaxis(stack, 2, 0)], 1),
        stack[ties.child, ties.parent],
    )
    right = rng.normal(size=(dim, 3))
    for k, matrix in enumerate(np.moveaxis(stack, 2, 0)):
        np.testing.assert_allclose(factor.log_det[k], np.linalg.slogdet(matrix)[1])
        np.testing.assert_allclose(factor.solve(right)[:, k], np.linalg.solve(matrix, right[:, k]))
    # noise with the covariance of the inverse: columns of a unit matrix make a root of it
    one = np.stack([factor.draw(np.tile(e[:, None], 3)) for e in np.eye(dim)])
    np.testing.assert_allclose(
        one[:, :, 0].T @ one[:, :, 0], np.linalg.inv(stack[:, :, 0]), atol=1e-12
    )


def test_what_is_not_positive_definite_is_nan():
    ties = ties_of((), ((1,), ()), True)
    factor = several_conditionals(ties, np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[0.5, 2.0]]))
    assert np.isfinite(factor.scale[:, 0]).all()
    assert np.isnan(factor.log_det[1])
