"""Arrays, memory maps and `.npy` files as rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from row_sources import X, Y

from vi import data


def test_parts_of_a_memory_map_are_read_from_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for part in (
        mapped[10:50],
        np.asarray(mapped)[20:],
        mapped[:, :, None],
        mapped[::2],
        mapped[:, 1:],
    ):
        source = data.ArraySource({"x": part})
        np.testing.assert_array_equal(source.take(slice(3, 9))["x"], np.array(part[3:9]))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[0] = 7
    np.testing.assert_array_equal(
        data.ArraySource({"x": private}).take(slice(0, 1))["x"], [[7, 7, 7]]
    )


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({}, ValueError, "is empty"),
        ({"x": X, "y": Y[:-1]}, ValueError, "different lengths: 'x': 137, 'y': 136"),
        ({"x": 1.0}, ValueError, "'x' is a single value"),
        ({"x": np.array(["a", "b"])}, TypeError, "'x' has dtype <U1"),
        ({"x": np.array(["2020-01-01"], "M8[D]")}, TypeError, "seconds for dates"),
        ({"x": np.ma.masked_array([1.0], [True])}, TypeError, "Field 'x' is a masked array"),
        ({"x": xr.DataArray([1.0])}, TypeError, "xarray.Dataset of all fields"),
        ({"x": "no.npy"}, FileNotFoundError, "'x': there is no file no.npy"),
        ({"x": "rows.txt"}, ValueError, r"not a .npy file"),
    ],
)
def test_wrong_arrays(arrays, error, message) -> None:
    with pytest.raises(error, match=message):
        data.ArraySource(arrays)


def test_wrong_chunks() -> None:
    with pytest.raises(ValueError, match="chunk_rows=0"):
        data.ArraySource({"x": X}, chunk_rows=0)
