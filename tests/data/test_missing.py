"""Rows with NaN: the finder, what is said about them, and what is left without them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from vi.data import missing
from vi.data.missing import (
    check_nan_policy,
    drop_nan,
    refuse_nan,
    rows_with_nan,
)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(50,), (50, 3), (50, 2, 3), (50, 0)], ids=str)
@pytest.mark.parametrize("block", [1, 100, 2**24])
def test_the_finder_agrees_with_a_plain_search(
    dtype: str, shape: tuple[int, ...], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "BLOCK_BYTES", block)
    rng = np.random.default_rng(1)
    values = (1e3 * rng.normal(size=shape)).astype(dtype)
    values[rng.random(shape) < 0.05] = np.nan
    values[rng.random(shape) < 0.1] = np.inf  # a sum of opposite infinities is NaN, they are not
    values[rng.random(shape) < 0.1] = -np.inf
    expected = np.flatnonzero(np.isnan(values).reshape(50, -1).any(axis=1))
    assert len(expected) or not values.size
    np.testing.assert_array_equal(rows_with_nan(values), expected)
    np.testing.assert_array_equal(rows_with_nan(values[::-1]), 49 - expected[::-1])


def test_what_cannot_have_a_nan() -> None:
    for values in (np.arange(3), np.array([True]), np.empty((0, 2)), np.array(["nan"])):
        assert not len(rows_with_nan(values))


def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "BLOCK_BYTES", 2**16)
    values = np.zeros((2**17, 8))  # 8 MiB
    values[::1000, 3] = np.nan  # in every block: the flags of all blocks are made
    tracemalloc.start()
    rows_with_nan(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**17  # the flags of one block, and the numbers of 132 rows


def test_drop() -> None:
    x, y = np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, 5.0]]), np.array([0, 1, 2])
    arrays = drop_nan({"x": x, "y": y})
    np.testing.assert_array_equal(arrays["x"], x[[0, 2]])
    np.testing.assert_array_equal(arrays["y"], [0, 2])
    assert drop_nan({"y": y})["y"] is y


def test_the_text_names_variable_number_and_first_five() -> None:
    values = np.ones(100)
    values[10:17] = np.nan
    with pytest.raises(
        ValueError, match=r"^data\['x'\] has NaN in 7 of 100 rows, first in "
    ) as info:
        refuse_nan({"data['y']": np.ones(100), "data['x']": values}, "Do this.", first=1000)
    assert str(info.value).endswith("first in 1010, 1011, 1012, 1013, 1014. Do this.")
    with pytest.raises(KeyError, match="nan='drop' leaves such rows out; nan='allow' keeps them"):
        refuse_nan({"x": values}, error=KeyError)
    refuse_nan({"x": np.ones(3)})


def test_policies() -> None:
    for policy in missing.NAN_POLICIES:
        check_nan_policy("Stream(nan", policy)
    with pytest.raises(ValueError, match=r"^Stream\(nan='ignore'\): must be one of 'raise'"):
        check_nan_policy("Stream(nan", "ignore")
