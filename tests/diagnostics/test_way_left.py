"""Newton's step of a mean-field q: exact where log p is quadratic, silent where it is noise."""

from __future__ import annotations

import numpy as np
import pytest

from vi.diagnostics.way_left import way_left


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99999])
def test_on_a_normal_it_is_the_distance(rng, correlation):
    """Rounding of 1e-16 against the smallest curvature, 1e-5."""
    precision = np.array([[1.0, -correlation], [-correlation, 1.0]])
    noise, left = rng.normal(size=(30, 2)), np.array([20.0, 19.0])
    scores, opposite = ((left - sign * noise) @ precision for sign in (1, -1))
    np.testing.assert_allclose(way_left(noise, scores, opposite), left, rtol=1e-6)


def test_a_gradient_that_is_noise_is_no_step(rng):
    """Noise of both ends that differs: beyond three errors in one direction of 370."""
    noise = rng.normal(size=(1_000, 5))
    scores, opposite = (-sign * noise + rng.normal(size=(1_000, 5)) for sign in (1, -1))
    assert np.abs(way_left(noise, scores, opposite)).max() < 5 / np.sqrt(2_000)


def test_a_curvature_that_is_noise_makes_no_long_step(rng):
    """None along the second direction: its gradient of 0.3 counts against two errors, 0.09."""
    noise = rng.normal(size=(1_000, 2))
    even, odd = np.array([0.0, 0.3]), rng.normal(size=(1_000, 2)) + noise * [-1.0, 0.0]
    step = way_left(noise, even + odd, even - odd)
    assert 1.0 < step[1] < 20.0
