"""The degree of a graph in some variables: by rules that can be checked by hand."""

import math

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.tensor.linalg import solve_triangular

from vi.targets.sums.degree import degree, is_elementwise

X, Y = pt.matrix("X"), pt.vector("y")
B, S, INDEX = pt.vector("b"), pt.scalar("s"), pt.vector("i", dtype="int64")


@pytest.mark.parametrize(
    ("graph", "variables", "expected"),
    [
        (-0.5 * ((Y - pt.dot(X, B)) / S) ** 2, [X, Y], 2),
        ((Y - X @ B) / S, [X, Y], 1),
        (pt.sqr(Y) * pt.exp(S), [Y], 2),
        (pt.sqr(Y) * Y, [Y], math.inf),
        (pt.exp(X @ B), [X], math.inf),
        (pt.exp(X @ B) * Y, [Y], 1),
        (Y / S, [S], math.inf),
        (B[INDEX] * Y, [Y], 1),
        (B[INDEX] * Y, [INDEX], math.inf),
        (pt.switch(S > 0, Y, Y**2), [Y], 2),
        (pt.switch(Y > 0, Y, 0.0), [Y], math.inf),
        (X[:, 0].reshape((-1, 1)).sum(axis=1), [X], 1),
        (solve_triangular(pt.eye(3), Y[:3], lower=True), [Y], 1),
        (B * Y.shape[0], [Y], 0),
        (S, [X], 0),
    ],
)
def test_degrees(graph, variables, expected):
    assert degree(graph, variables) == expected


def test_what_is_fixed_does_not_count():
    positive = Y > 0
    assert degree(pt.switch(positive, Y, -np.inf), [Y], fixed=[positive]) == 1


def test_only_entries_at_their_own_place():
    assert is_elementwise(((X - B) / S) ** 2, X)
    assert not is_elementwise(X - X.sum(axis=1, keepdims=True), X)
    assert not is_elementwise(X @ B, X)
