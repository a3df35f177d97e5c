"""The slope of the ELBO against closed forms on normals."""

from __future__ import annotations

import numpy as np
import pytest

from vi.diagnostics.gradient import slope

DRAWS = 4000


def test_at_the_optimum_there_is_none(rng):
    cov = np.array([[1.0, 0.8], [0.8, 4.0]])
    root = np.linalg.cholesky(cov)
    points = 3.0 + rng.normal(size=(DRAWS, 2)) @ root.T
    scores = -(points - 3.0) @ np.linalg.inv(cov)
    found = slope(points, scores, np.full(2, 3.0), np.sqrt(np.diag(cov)), root)
    # moves are the draws themselves, in sds; widening is 1 - e^2
    np.testing.assert_allclose(found.mean_error, 1 / np.sqrt(DRAWS), rtol=0.1)
    assert np.all(np.abs(found.mean) < 5 / np.sqrt(DRAWS))
    assert np.all(np.abs(found.sd) < 5 * found.sd_error)
    assert np.all(found.certain == 0)


@pytest.mark.parametrize("dense", [True, False])
def test_away_from_it_is_newtons_step_and_the_lack_of_width(rng, dense):
    """p = N(0, 4), q = N(1, 1): the score is -z / 4."""
    points = 1.0 + rng.normal(size=(DRAWS, 1))
    root = np.eye(1) if dense else np.ones(1)
    found = slope(points, -points / 4, np.ones(1), np.ones(1), root)
    assert found.mean[0] == pytest.approx(-0.25, abs=5 * 0.25 / np.sqrt(DRAWS))
    assert found.sd[0] == pytest.approx(0.75, abs=5 * found.sd_error[0])
    assert found.certain[0] > 0.5
