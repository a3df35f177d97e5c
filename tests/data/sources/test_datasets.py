"""xarray datasets as rows."""

from __future__ import annotations

import pytest
import xarray as xr
from row_sources import dataset

from vi import data


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (xr.Dataset(), "no data variables"),
        (xr.Dataset({"x": ("a", [1.0]), "y": ("b", [1.0])}), "No dimension is shared"),
    ],
)
def test_datasets_without_rows(given: xr.Dataset, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.DatasetSource(given)


def test_another_dimension() -> None:
    with pytest.raises(ValueError, match="dim='k' is not a dimension of"):
        data.DatasetSource(dataset(), dim="k")
    assert data.DatasetSource(dataset()[["x"]], dim="k").n_rows == dataset().sizes["k"]
