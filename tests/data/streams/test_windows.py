"""Shuffled windows with bounded memory, and where reading goes on."""

from __future__ import annotations

import numpy as np
import pytest
from row_sources import SEED, Numbered, rows_from

from vi.data import LoaderSource, Stream


def test_a_resumed_stream_reads_one_window() -> None:
    source = Numbered(10_000, 100)
    with Stream(source, 10, buffer_rows=400, block_batches=1, read_ahead=1) as stream:
        stream.start(SEED, 555)
        stream.block(555)
        stream.close()
    assert (
        source.reads_made <= 2 + 2 + 5
    )  # the window, at most the next one, and the chunks read ahead


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_loader_goes_on_where_it_stopped(shuffle: bool) -> None:
    source = LoaderSource(
        lambda: iter([{"row": np.arange(k, k + 5)} for k in range(0, 100, 5)]), n_rows=100
    )
    with Stream(
        source, 5, shuffle=shuffle, block_batches=1, read_ahead=1, buffer_rows=10
    ) as stream:
        first, second = rows_from(stream, 3), rows_from(stream, 10, start=3)
    assert not set(first.ravel()) & set(second.ravel())
    assert len(set(second.ravel())) == 50


def test_a_loader_that_is_shuffled_whole_is_held_twice() -> None:
    loader = LoaderSource(lambda: iter([{"row": np.arange(100)}]), n_rows=100)
    with Stream(loader, 10, buffer_rows=100, block_batches=1, read_ahead=1) as stream:
        assert stream.peak_rows >= 2 * 100 + 2 * 10
