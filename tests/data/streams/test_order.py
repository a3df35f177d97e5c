"""The order of rows: how well it mixes."""

from __future__ import annotations

import numpy as np
from row_sources import rows_from

from vi.data import ArraySource, Stream


class TestMixing:
    """Data sorted by label, half of each: the share of a label in the batches."""

    def test_one_window_is_a_perfect_shuffle(self) -> None:
        n, size = 20_000, 100
        with Stream(ArraySource({"row": np.arange(n) >= n // 2}), size, buffer_rows=n) as stream:
            counts = rows_from(stream, n // size).sum(axis=1)
        # Hoeffding's bound holds for the hypergeometric law; union over the batches, together less
        # than 1e-9
        bound = np.sqrt(size / 2 * np.log(2 * len(counts) / 1e-9))
        assert bound < size / 2
        assert np.abs(counts - size / 2).max() < bound
        variance = size / 4 * (n - size) / (n - 1)
        assert abs(counts.var() / variance - 1) < 5 * np.sqrt(2 / len(counts))

    def test_small_windows_add_the_variance_of_their_chunks(self) -> None:
        """With W chunks a window, the share of a label varies as if W rows were drawn: 1 /
        (4 W).
        """
        n, chunk, window, size, epochs = 40_000, 100, 4, 100, 10
        source = ArraySource({"row": np.arange(n) >= n // 2}, chunk_rows=chunk)
        with Stream(source, size, buffer_rows=2 * window * chunk) as stream:
            shares = rows_from(stream, epochs * n // size).mean(axis=1)[
                ::window
            ]  # a batch of each window
        chunks = n // chunk
        between = (chunks - window) / (chunks - 1) / (4 * window)
        within = (0.25 - between) / size * (window * chunk - size) / (window * chunk - 1)
        assert between > 20 * within
        # a variance of M independent shares has a relative standard error of at most sqrt(2 / M):
        # theirs has no tails
        assert abs(shares.var() / (between + within) - 1) < 5 * np.sqrt(2 / len(shares))
