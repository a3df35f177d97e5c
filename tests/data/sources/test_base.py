"""Sources: rows by number, whatever they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from row_sources import BY_NUMBER, SOURCES, K, N, X, Y

from vi.testing import check_source


@pytest.mark.parametrize("name", SOURCES)
def test_says_what_rows_are(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    assert source.n_rows == N
    assert {k: f.shape for k, f in source.fields.items()} == {"x": (K,), "y": ()}
    assert source.fields["x"].dtype == np.float32
    assert source.fields["y"].dtype == np.int64
    assert 1 <= source.chunk_rows <= N


@pytest.mark.parametrize("name", SOURCES)
def test_contract(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    check_source(source)
    source.close()


@pytest.mark.parametrize("name", BY_NUMBER)
def test_takes_rows_by_number(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """The rows that were written, as arrays in the fields' types that are laid out in order."""
    source = SOURCES[name](tmp_path)
    for rows in (slice(0, N), slice(130, 10_000), slice(5, 5), rng.integers(N, size=300)):
        got = source.take(rows)
        np.testing.assert_array_equal(got["x"], X[rows])
        np.testing.assert_array_equal(got["y"], Y[rows])
        assert all(
            v.dtype == source.fields[k].dtype and v.flags.c_contiguous for k, v in got.items()
        )
    with pytest.raises(IndexError, match=f"0 to {N - 1}"):
        source.take(np.array([0, N]))
    source.close()
