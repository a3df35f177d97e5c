"""Parquet files as rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vi import data


def test_parquet_chunks_are_row_groups(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table({"x": np.zeros(2_500_000)})
    pq.write_table(table.slice(0, 1_300_000), tmp_path / "a.parquet", row_group_size=600_000)
    pq.write_table(table.slice(1_300_000), tmp_path / "b.parquet", row_group_size=300_000)
    source = data.ParquetSource(tmp_path)
    # 4 MiB are 524,288 rows: groups above it alone, smaller ones together where they fit
    assert source.bounds.tolist() == [
        0,
        600_000,
        1_200_000,
        1_600_000,
        1_900_000,
        2_200_000,
        2_500_000,
    ]
    assert source.chunk_rows == 600_000


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r'pip install "pymc-vi\[data\]"'):
        data.ParquetSource("rows.parquet")
