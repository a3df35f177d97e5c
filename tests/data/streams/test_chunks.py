"""Chunks: rows without NaN, and what a source must not promise."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from row_sources import SEED, Numbered, rows_from

from vi.data import ArraySource, DataError, Field, LoaderSource, Stream


class TestNan:
    values = np.where(np.arange(1_000) % 100 == 7, np.nan, np.arange(1_000.0))

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_raise_names_field_and_rows(self, shuffle: bool) -> None:
        source = ArraySource(
            {"row": np.arange(1_000), "z": np.column_stack([np.zeros(1_000), self.values])}
        )
        with (
            Stream(source, 10, shuffle=shuffle) as stream,
            pytest.raises(
                DataError,
                match=r"rows 0 to 999: field 'z' has NaN in 10 of 1000 rows, first in 7, 107, 207, "
                r"307, 407\. nan='drop' leaves such rows out",
            ),
        ):
            rows_from(stream, 1)

    def test_drop_counts_first(self, caplog) -> None:
        with caplog.at_level(logging.INFO, "vi"):
            stream = Stream(
                ArraySource({"row": self.values}, chunk_rows=50), 10, buffer_rows=200, nan="drop"
            )
        assert "990 of 1000 rows are without NaN" in caplog.text
        assert stream.n_rows == 990
        rows = np.sort(rows_from(stream, 99).ravel())
        np.testing.assert_array_equal(rows, self.values[~np.isnan(self.values)])
        stream.close()

    def test_drop_of_rows_that_change(self) -> None:
        values = self.values.copy()
        stream = Stream(
            ArraySource({"row": values}, chunk_rows=50), 10, buffer_rows=200, nan="drop"
        )
        values[500:600] = np.nan
        with stream, pytest.raises(DataError, match="data have changed"):
            rows_from(stream, 99)

    def test_drop_of_all(self) -> None:
        with pytest.raises(DataError, match="every row holds a NaN"):
            Stream(ArraySource({"row": np.full(5, np.nan)}), 2, nan="drop")

    def test_loaders(self) -> None:
        def batches():
            yield from ({"row": part} for part in np.split(self.values, 20))

        with Stream(LoaderSource(batches, n_rows=990), 10, nan="drop") as stream:
            assert not np.isnan(rows_from(stream, 200)).any()
        with Stream(LoaderSource(batches, n_rows=1_000), 10, nan="drop") as stream:
            stream.start(SEED, 0)
            with pytest.raises(DataError, match="ended after 990 rows; n_rows=1000"):
                stream.block(99)
        with (
            Stream(LoaderSource(batches, n_rows=1_000), 10) as stream,
            pytest.raises(DataError, match="'row' has NaN in 1 of 50 rows, first in 7"),
        ):
            rows_from(stream, 1)

    def test_allow_and_infinities(self) -> None:
        with Stream(ArraySource({"row": self.values}), 10, nan="allow") as stream:
            assert np.isnan(rows_from(stream, 100)).sum() == 10
        with Stream(ArraySource({"row": np.array([np.inf, -np.inf, 1.0])}), 3) as stream:
            assert np.isinf(rows_from(stream, 1)).sum() == 2  # whose sum is NaN, and which are not


def test_a_source_that_breaks_its_promise() -> None:
    source = Numbered(100, 10)
    source.fields["x"] = Field((98,), np.dtype(float))
    with (
        Stream(source, 10) as stream,
        pytest.raises(DataError, match=r"returned 'x' as float64 of shape \(10, 99\)"),
    ):
        rows_from(stream, 1)
    with pytest.raises(DataError, match="bounds must rise"):
        Stream(Numbered(100, 10, bounds=np.array([0, 50, 100])), 10)
