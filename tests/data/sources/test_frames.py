"""Tables of pandas, polars and Arrow as rows."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from row_sources import COLUMNS, N, X

from vi import data
from vi.data import DataError


@pytest.mark.parametrize(
    "make", [pd.DataFrame, lambda c: pytest.importorskip("polars").DataFrame(c)]
)
def test_missing_values_of_frames(make) -> None:
    frame = make({"f": [1.0, None], "i": [1, 2]})
    np.testing.assert_array_equal(data.source_from(frame).take(slice(0, 2))["f"], [1.0, np.nan])
    if isinstance(frame, pd.DataFrame):
        frame = frame.astype({"i": "Int64"})
        assert data.source_from(frame).fields["i"].dtype == np.int64
        frame.loc[1, "i"] = pd.NA
    else:
        frame = make({"i": [1, None]})
    with pytest.raises(DataError, match=r"column 'i' .* missing values"):
        data.source_from(frame).take(slice(0, 2))


def test_what_is_no_table() -> None:
    with pytest.raises(TypeError, match="'x' has dtype"):
        data.FrameSource(pd.DataFrame({"x": ["a"]}))
    with pytest.raises(TypeError, match="dict: a frame is one of pandas, polars or Arrow"):
        data.FrameSource({"x": X})
    lazy = pytest.importorskip("polars").DataFrame(COLUMNS).lazy()
    with pytest.raises(TypeError, match=r"collect it first: frame.collect\(\)"):
        data.source_from(lazy)


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_frames_are_read_without_pyarrow(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pytest.importorskip(package).DataFrame(COLUMNS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    source = data.FrameSource(frame, fields={"x": ["a", "b", "c"]})
    np.testing.assert_array_equal(source.take(slice(0, N))["x"], X)
