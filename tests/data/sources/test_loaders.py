"""Loaders: batches that come in their own order."""

from __future__ import annotations

import numpy as np
import pytest
from row_sources import K, N, X, Y

from vi import data
from vi.data import DataError


class Tensor:
    """Enough of a torch tensor: NumPy takes it, nothing else does."""

    def __init__(self, values) -> None:
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class Loader:
    """Enough of a torch DataLoader: iterated anew each epoch, its length is a number of batches."""

    def __init__(self, batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def test_a_loader_of_tensors() -> None:
    batches = [[Tensor(X[i : i + 50]), Tensor(Y[i : i + 50])] for i in range(0, N, 50)]
    source = data.LoaderSource(Loader(batches), n_rows=N, names=("x", "y"))
    assert source.fields["x"].shape == (K,)
    for _ in range(2):
        np.testing.assert_array_equal(
            np.concatenate([b["x"] for _, b in data.batches_of(source, 1000)]), X
        )
    with pytest.raises(DataError, match="its own order"):
        source.take(slice(0, 1))


GOOD = {"x": X[:10], "y": Y[:10]}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": X[:10], "z": Y[:10]}, r"has the keys \['x', 'z'\]; the first had \['x', 'y'\]"),
        ({"x": X[:10]}, r"keys \['x'\]"),
        (
            {"x": X[:10, :2], "y": Y[:10]},
            r"'x' have shape \(2,\) in a batch; in the first they had \(3,\)",
        ),
        (
            {"x": X[:10].astype(int), "y": Y[:10]},
            "'x' has dtype int64 in a batch; in the first it had float32",
        ),
        ({"x": X[:10], "y": Y[:9]}, "of a batch have different lengths: 'x': 10, 'y': 9"),
        ({"x": X[:10], "y": 1}, "'y' of a batch is a single value"),
        ((X[:10], Y[:10]), r"a tuple of 2; say what its parts are called: .*names="),
    ],
)
def test_wrong_batches(batch, message) -> None:
    source = data.LoaderSource([GOOD, batch], n_rows=20)
    with pytest.raises(DataError, match=message):
        list(data.batches_of(source, 100))


def test_wrong_loaders() -> None:
    with pytest.raises(ValueError, match="n_rows=0"):
        data.LoaderSource([GOOD], n_rows=0)
    with pytest.raises(TypeError, match="gives no batches"):
        data.LoaderSource(3, n_rows=10)
    with pytest.raises(DataError, match="no batch at all"):
        data.LoaderSource([], n_rows=10)
    with pytest.raises(DataError, match="2 parts; names= has"):
        data.LoaderSource([(X, Y)], n_rows=N, names=("x",))
    with pytest.raises(DataError, match=r"ended after 10 rows; n_rows=11"):
        list(data.batches_of(data.LoaderSource([GOOD], n_rows=11), 5))
    with pytest.raises(DataError, match="only once"):
        list(data.batches_of(data.LoaderSource(iter([GOOD]), n_rows=10), 5))
