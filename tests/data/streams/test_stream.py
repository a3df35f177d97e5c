"""Streams: bounded memory, errors in their place, threads that end."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
import weakref

import jax
import numpy as np
import pytest
from row_sources import SEED, Numbered, numbered, rows_from

from vi.data import ArraySource, DataError, LoaderSource, Stream


class TestMemory:
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_it_does_not_grow_with_the_rows(self, shuffle: bool) -> None:
        peaks = []
        for n in (20_000, 200_000):
            stream = Stream(
                Numbered(n, 500), 100, shuffle=shuffle, buffer_rows=5_000, block_batches=5
            )
            window, blocks = 5_000 if shuffle else 0, 3 * 5 * 100
            chunks = (
                2 if shuffle else 5
            )  # two threads read; in order, four chunks of 400 kB are read ahead
            assert stream.peak_rows == window + chunks * 500 + blocks
            tracemalloc.start()
            stream.start(SEED, 0)
            block = None
            for step in range(0, 20_000 // 100, 5):
                block = stream.block(step)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            stream.close()
            del block
            # beside the rows of 800 bytes, what the source makes of a chunk, and some numbers for
            # each row of a window
            assert peaks[-1] < (stream.peak_rows + 500) * 800 + 100 * window + 200_000
            assert peaks[-1] > (window + blocks) * 800
        assert (
            peaks[1] < peaks[0] * 1.1 + 2 * 500 * 800
        )  # whether two threads decode a chunk at the same time

    def test_only_so_many_blocks_are_read_ahead(self) -> None:
        made = []
        with Stream(numbered(100), 10, block_batches=1, read_ahead=2) as stream:
            stream.start(SEED, 0, place=lambda arrays: made.append(threading.current_thread().name))
            stream.block(0)
            _wait_for(lambda: len(made) == 3)
            time.sleep(0.05)
            assert made == ["vi.data.Stream"] * 3

    def test_rows_that_fit_are_read_once(self) -> None:
        source = Numbered(1_000, 100)
        with Stream(source, 100) as stream:
            rows_from(stream, 100)
        assert source.reads_made == 10


class TestErrors:
    def test_they_come_at_the_block_concerned_and_can_be_repaired(self) -> None:
        source = Numbered(1_000, 50)
        with Stream(source, 10, shuffle=False, block_batches=5) as stream:
            source.broken = {6}
            stream.start(SEED, 0)
            for step in range(30):
                stream.block(step)
            for _ in range(2):
                with pytest.raises(DataError, match="rows 300 to 349"):
                    stream.block(30)
            source.broken = set()
            np.testing.assert_array_equal(
                rows_from(stream, 2, start=30).ravel(), np.arange(300, 320)
            )

    def test_a_file_that_is_cut_short_meanwhile(self, tmp_path) -> None:
        path = tmp_path / "row.npy"
        np.save(path, np.arange(100_000))
        with Stream(ArraySource({"row": path}, chunk_rows=1_000), 100, buffer_rows=4_000) as stream:
            stream.start(SEED, 0)
            stream.block(0)
            with path.open("r+b") as file:
                file.truncate(300_000)
            # met by a read beyond the new end, or after one before it: a question of threads
            with pytest.raises(DataError, match=r"row\.npy.*cut short"):
                _drain(stream, 2_000)

    @pytest.mark.parametrize(
        ("batches", "n_rows", "message"),
        [
            (10, 110, "ended after 100 rows; n_rows=110 were promised"),
            (10, 95, "goes on after n_rows=95 rows"),
            (10, 90, "goes on after n_rows=90 rows"),
        ],
    )
    @pytest.mark.parametrize("buffer", [None, 30])
    def test_epochs_of_another_length(
        self, batches: int, n_rows: int, message: str, buffer: int | None
    ) -> None:
        source = LoaderSource([{"row": np.arange(10)}] * batches, n_rows=n_rows)
        with (
            Stream(source, 10, buffer_rows=buffer) as stream,
            pytest.raises(DataError, match=message),
        ):
            rows_from(stream, 40)

    def test_an_iterator_is_good_for_one_epoch(self) -> None:
        source = LoaderSource(iter([{"row": np.arange(10)}] * 3), n_rows=30)
        with Stream(source, 10, block_batches=1) as stream:
            assert len(rows_from(stream, 3)) == 3
            with pytest.raises(DataError, match="cannot be started anew"):
                stream.block(3)

    def test_what_a_loader_raises_passes_through(self) -> None:
        state = {"fail": True}

        def batches():
            yield {"row": np.arange(10)}
            if state["fail"]:
                raise KeyError("of the user's own")
            yield {"row": np.arange(10, 20)}

        with Stream(LoaderSource(batches, n_rows=20), 10, block_batches=1) as stream:
            stream.start(SEED, 0)
            stream.block(0)
            with pytest.raises(KeyError, match="of the user's own"):
                stream.block(1)
            state["fail"] = False
            np.testing.assert_array_equal(rows_from(stream, 2, start=1).ravel(), np.arange(20))

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"batch_size": 0}, ValueError, r"batch_size=0.*whole number of at least 1"),
            ({"batch_size": 101}, ValueError, "only 100 rows"),
            (
                {"buffer_rows": 19},
                ValueError,
                "buffer_rows=19: .* 10 rows at a time; take at least twice as many",
            ),
            ({"read_ahead": 0}, ValueError, "read_ahead=0"),
            ({"block_batches": 1.5}, ValueError, "block_batches=1.5"),
            ({"nan": "ignore"}, ValueError, "'raise', 'drop' or 'allow'"),
            ({"source": {"row": np.arange(3)}}, TypeError, "source_from"),
        ],
    )
    def test_wrong_arguments(self, options, error, message) -> None:
        with pytest.raises(error, match=message):
            Stream(**{"source": numbered(100, chunk_rows=10), "batch_size": 10} | options)

    def test_wrong_use(self) -> None:
        with Stream(numbered(100), 10, block_batches=2) as stream:
            with pytest.raises(RuntimeError, match="call start"):
                stream.block(0)
            for seed in ((-1, 0), (0, 2**32)):
                with pytest.raises(ValueError, match="two integers from 0"):
                    stream.start(seed, 0)
            with pytest.raises(ValueError, match="step=-1"):
                stream.start(SEED, -1)
            stream.start(SEED, 4)
            assert stream.block(5) is stream.block(4)
            assert stream.block(9).first == 8
            with pytest.raises(RuntimeError, match="goes back"):
                stream.block(4)


class TestThread:
    def test_it_ends(self) -> None:
        def alive() -> list[threading.Thread]:
            return [
                t for t in threading.enumerate() if t.name.startswith("vi.data") and t not in before
            ]

        before = threading.enumerate()
        stream = Stream(numbered(1_000, chunk_rows=10), 10, buffer_rows=100)
        for step in (0, 7):
            stream.start(SEED, step)
            stream.block(step)
            assert sum(t.name == "vi.data.Stream" for t in alive()) == 1
        stream.close()
        _wait_for(lambda: not alive())
        stream.start(SEED, 0)
        gone = weakref.ref(stream)
        del stream
        gc.collect()
        assert gone() is None
        _wait_for(lambda: not alive())

    def test_blocks_can_be_put_on_a_device(self) -> None:
        with Stream(numbered(100), 10, block_batches=10) as stream:
            stream.start(SEED, 0, place=jax.device_put)
            rows = stream.block(0).arrays["row"]
        assert isinstance(rows, jax.Array)
        assert sorted(np.ravel(rows)) == list(range(100))


def _drain(stream: Stream, steps: int) -> None:
    for step in range(steps):
        stream.block(step)


def _wait_for(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)
