"""How users' parts are looked at: which are theirs, what a function returns, in words."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import vi
from vi.families import MeanField
from vi.foundation.contracts import is_foreign, said, traced
from vi.objectives import ClosedFormEntropy


@dataclass(frozen=True)
class Theirs(ClosedFormEntropy):
    """An objective of a user's."""


def test_built_in_parts_are_not_looked_at():
    assert not is_foreign(MeanField(), ClosedFormEntropy(), vi.adam())
    assert is_foreign(MeanField(), Theirs())


def test_shapes_are_found_without_numbers():
    got = traced("f(x) of the kind 'k'", lambda x: x[None] * 2, jnp.zeros(3))
    assert got.shape == (1, 3)
    with pytest.raises(TypeError, match=r"^f\(x\) of the kind 'k' cannot be traced: KeyError: 'a'"):
        traced("f(x) of the kind 'k'", lambda x: {}["a"], jnp.zeros(3))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (np.zeros((2, 3), np.float32), "float32 (2, 3)"),
        ({"a": np.zeros(2), "b": None}, "{'a': float64 (2,), 'b': nothing}"),
        ((np.zeros(1), 3), "(float64 (1,), 3)"),
        ([1], "[1]"),
        (Theirs(), "Theirs"),
    ],
)
def test_words(value, words):
    assert said(value) == words
