"""Funnels, correlations and tails are named, and normals are not."""

from __future__ import annotations

import numpy as np

from vi.diagnostics.shape import shape

LABELS = ["a", "b", "c"]


def test_draws_of_q_show_nothing(rng):
    cov = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    points = rng.multivariate_normal(np.zeros(3), cov, size=2560)
    assert shape(points, cov, LABELS) == ""
    assert shape(points, np.ones(3), LABELS) == "correlated: a and b"


def test_a_funnel(rng):
    v = rng.normal(0, 1.5, 2560)
    points = np.stack([rng.normal(size=2560), v, np.exp(v / 2) * rng.normal(size=2560)], axis=1)
    assert shape(points, np.eye(3), LABELS) == "a funnel: the spread of c depends on b"


def test_a_heavy_tail(rng):
    points = rng.normal(size=(2560, 3))
    points[:, 2] = rng.standard_t(2.5, 2560)
    assert shape(points, None, LABELS) == "a heavy tail in c"


def test_a_coordinate_that_stands_still_is_left_out(rng):
    points = rng.normal(size=(2560, 3))
    points[:, 1] = 0.0
    assert shape(points, np.eye(3), LABELS) == ""
    assert shape(points[:, 1:2], np.eye(1), ["b"]) == ""
