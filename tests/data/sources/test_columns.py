"""Columns of tables: Arrow's types, and how columns are packed into fields."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from row_sources import K, X, Y

from vi import data
from vi.data import DataError


def test_arrow_lists_and_nulls() -> None:
    pa = pytest.importorskip("pyarrow")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), K)
    source = data.source_from(pa.table({"x": vectors, "z": pa.array([None, *Y[1:].astype(float)])}))
    np.testing.assert_array_equal(source.take(slice(100, 120))["x"], X[100:120])
    assert np.isnan(source.take(slice(0, 1))["z"][0])
    nulls = data.source_from(pa.table({"y": pa.array([1, None])}))
    with pytest.raises(DataError, match="'y' of type int64 has 1 nulls"):
        nulls.take(slice(0, 2))


def test_wrong_columns() -> None:
    with pytest.raises(ValueError, match=r"takes columns \['d'\]; there are a, b"):
        data.FrameSource(pd.DataFrame({"a": [1], "b": [2]}), fields={"x": ["a", "d"]})
    with pytest.raises(TypeError, match=r"must be strings, got 0; .*rename\(columns=str\)"):
        data.FrameSource(pd.DataFrame(np.ones((3, 2))))
    with pytest.raises(ValueError, match="several columns are called 'a'"):
        data.FrameSource(pd.DataFrame([[1, 2.0]], columns=["a", "a"]))
