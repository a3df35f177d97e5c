"""The kernel's discrepancy is that of draws for draws, and grows where points are elsewhere."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from vi.diagnostics.discrepancy import relative_discrepancy


def direct(points, scores):
    """The V-statistic pair by pair, in its closed form, over its diagonal."""
    unit = points.std(axis=0)
    x, s = (points - points.mean(axis=0)) / unit, scores * unit
    r = x[:, None] - x[None]
    squares = (r**2).sum(axis=-1)
    h = np.median(squares[np.triu_indices(len(x), 1)])
    base = 1 + squares / h
    slopes = r / h * base[..., None] ** -1.5  # of the second point; of the first, minus that
    mixed = x.shape[1] / h * base**-1.5 - 3 * squares / h**2 * base**-2.5
    terms = s @ s.T * base**-0.5 + mixed
    terms += np.einsum("id,ijd->ij", s, slopes) - np.einsum("jd,ijd->ij", s, slopes)
    return terms.sum() / terms.trace()


def test_is_the_v_statistic_over_its_diagonal(rng):
    points = rng.normal(size=(6, 2)) * np.array([1.0, 100.0])
    scores = -points / np.array([1.0, 1e4])
    with jax.enable_x64(True):
        assert relative_discrepancy(points, scores) == pytest.approx(direct(points, scores))


@pytest.mark.slow
def test_draws_have_about_one_and_others_more(rng):
    """Of draws of p the expectation is 1; the statistic is one of positive terms."""
    points = rng.normal(size=(500, 3))
    assert 0.2 < relative_discrepancy(points, -points) < 4
    assert relative_discrepancy(points + 1.0, -(points + 1.0)) > 20
    assert relative_discrepancy(0.5 * points, -0.5 * points) > 5
