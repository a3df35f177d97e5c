"""The source that is meant by what is given; its first and all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from row_sources import SOURCES, N, X

from vi import data


@pytest.mark.parametrize("name", SOURCES)
def test_head_and_all_rows(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    np.testing.assert_array_equal(data.head(source, 45)["x"], X[:45])
    assert len(data.head(source, N)["y"]) == N
    starts, parts = zip(*data.batches_of(source, 25), strict=True)
    assert all(0 < len(part["y"]) <= 25 for part in parts)
    np.testing.assert_array_equal(starts, np.cumsum([0, *(len(part["y"]) for part in parts[:-1])]))
    np.testing.assert_array_equal(np.concatenate([part["x"] for part in parts]), X)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (X, TypeError, "ndarray has no names"),
        (xr.DataArray(X), TypeError, "DataArray has no names"),
        ("nowhere.zarr", FileNotFoundError, "nowhere.zarr"),
        ("nowhere.csv", FileNotFoundError, "nothing at nowhere.csv"),
        (iter([X]), TypeError, "n_rows= is needed"),
        (3, TypeError, "cannot be read from 3.*arrays by name.*Source"),
        (dict, TypeError, "cannot be read from <class 'dict'>"),
    ],
)
def test_what_is_no_source(given, error, message) -> None:
    with pytest.raises(error, match=message):
        data.source_from(given)


def test_wrong_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"n_rows=5, but .* has 137 rows"):
        data.source_from({"x": X}, n_rows=5)
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"rows.csv: .* not read from such a path.*\.parquet"):
        data.source_from(tmp_path / "rows.csv")
    with pytest.raises(ValueError, match="block_rows=0"):
        next(data.batches_of(data.source_from({"x": X}), 0))
