"""Streams: every row once an epoch, batches of seed and step alone, bounded memory, errors in
their place.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
import tracemalloc
import weakref

import jax
import numpy as np
import pytest
from row_sources import SOURCES, N

from vi.data import ArraySource, DataError, Field, LoaderSource, Source, Stream

SEED = (1, 2)


def rows_from(
    stream: Stream, steps: int, *, seed=SEED, start: int = 0, name: str = "row"
) -> np.ndarray:
    """What the steps get, shape (steps, batch_size)."""
    stream.start(seed, start)
    found = []
    for step in range(start, start + steps):
        block = stream.block(step)
        assert block.first <= step < block.first + block.count
        found.append(block.arrays[name][step - block.first])
    return np.array(found)


def numbered(n: int, **options) -> ArraySource:
    return ArraySource({"row": np.arange(n)}, **options)


class Made(Source):
    """Rows made when they are read, of 800 bytes; chunks that are listed in `broken` cannot be
    read.
    """

    def __init__(self, n_rows: int, chunk_rows: int, bounds=None) -> None:
        self.n_rows, self.chunk_rows, self.bounds = n_rows, chunk_rows, bounds
        self.fields = {"row": Field((), np.dtype(int)), "x": Field((99,), np.dtype(float))}
        self.broken: set[int] = set()
        self.reads = 0

    def take(self, rows):
        numbers = np.arange(rows.start, rows.stop)
        self.reads += 1
        if rows.start // self.chunk_rows in self.broken:
            raise DataError(f"rows {rows.start} to {rows.stop - 1} cannot be read")
        return {"row": numbers, "x": np.full((len(numbers), 99), numbers[:, None], float)}


class TestOrder:
    @pytest.mark.parametrize("name", SOURCES)
    @pytest.mark.parametrize("shuffle", [True, False])
    @pytest.mark.parametrize("small", [True, False], ids=["windows", "one window"])
    def test_every_row_once_an_epoch(self, name: str, shuffle: bool, small: bool, tmp_path) -> None:
        source = SOURCES[name](tmp_path)
        buffer = min(N, 2 * source.chunk_rows + 5) if small else N
        with Stream(source, 20, shuffle=shuffle, buffer_rows=buffer, block_batches=3) as stream:
            x = rows_from(stream, 21, name="x")
            y = rows_from(stream, 21, name="y") if source.random_access else x[..., 0] // 3 % 5
        rows = x[..., 0].ravel() // 3
        np.testing.assert_array_equal(x.reshape(-1, 3), rows[:, None] * 3 + [0, 1, 2])
        np.testing.assert_array_equal(y.ravel(), rows % 5)  # fields stay together
        epochs = rows[: 3 * N].reshape(3, N)
        np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(N), (3, 1)))
        in_order = (epochs == np.arange(N)).all(axis=1)
        assert in_order.all() if not shuffle else not in_order.any()
        if shuffle:
            assert (epochs[0] != epochs[1]).any()

    @pytest.mark.parametrize(
        "kind", ["one window", "windows", "uneven chunks", "no NaN", "in order"]
    )
    def test_a_batch_depends_on_seed_and_step_alone(self, kind: str) -> None:
        def stream(**options) -> Stream:
            if kind == "uneven chunks":
                source = Made(100, 30, bounds=np.array([0, 30, 35, 60, 61, 61, 90, 100]))
            else:
                source = ArraySource(
                    {"row": np.where(np.arange(100) % 7, np.arange(100.0), np.nan)}, chunk_rows=8
                )
            buffer = {
                "one window": 100,
                "windows": 33,
                "uneven chunks": 60,
                "no NaN": 20,
                "in order": 16,
            }[kind]
            nan = "drop" if kind == "no NaN" else "allow"
            return Stream(
                source, 9, buffer_rows=buffer, nan=nan, shuffle=kind != "in order", **options
            )

        reference = rows_from(stream(block_batches=1), 60)
        for block_batches in (1, 2, 7, 50):
            for start in (0, 1, 10, 11, 12, 37):
                for read_ahead in (1, 3):
                    with stream(block_batches=block_batches, read_ahead=read_ahead) as other:
                        np.testing.assert_array_equal(
                            rows_from(other, 60 - start, start=start),
                            reference[start:],
                            strict=True,
                        )

    def test_seeds(self) -> None:
        with Stream(numbered(50), 10) as stream:
            first = rows_from(stream, 10)
            np.testing.assert_array_equal(rows_from(stream, 10), first)
            for seed in ((1, 3), (2, 2), (2**32 - 1, 0)):
                assert (rows_from(stream, 10, seed=seed) != first).any()

    def test_a_resumed_stream_reads_one_window(self) -> None:
        source = Made(10_000, 100)
        with Stream(source, 10, buffer_rows=400, block_batches=1, read_ahead=1) as stream:
            stream.start(SEED, 555)
            stream.block(555)
            stream.close()
        assert (
            source.reads <= 2 + 2 + 5
        )  # the window, at most the next one, and the chunks read ahead

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_a_loader_goes_on_where_it_stopped(self, shuffle: bool) -> None:
        source = LoaderSource(
            lambda: iter([{"row": np.arange(k, k + 5)} for k in range(0, 100, 5)]), n_rows=100
        )
        with Stream(
            source, 5, shuffle=shuffle, block_batches=1, read_ahead=1, buffer_rows=10
        ) as stream:
            first, second = rows_from(stream, 3), rows_from(stream, 10, start=3)
        assert not set(first.ravel()) & set(second.ravel())
        assert len(set(second.ravel())) == 50


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
        """With W chunks a window, the share of a label varies as if W rows were drawn: 1 / (4
        W).
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


class TestMemory:
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_it_does_not_grow_with_the_rows(self, shuffle: bool) -> None:
        peaks = []
        for n in (20_000, 200_000):
            stream = Stream(Made(n, 500), 100, shuffle=shuffle, buffer_rows=5_000, block_batches=5)
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
        source = Made(1_000, 100)
        with Stream(source, 100) as stream:
            rows_from(stream, 100)
        assert source.reads == 10


class OneAtATime(Made):
    """A source with a place in a file, so to say: it notices when it is asked for rows while it
    looks for others.
    """

    def take(self, rows):
        self.place = rows.start
        time.sleep(1e-3)
        assert self.place == rows.start, "take was called while another call was going on"
        return super().take(rows)


def test_a_source_of_ones_own_is_asked_for_one_chunk_at_a_time() -> None:
    with Stream(OneAtATime(4_000, 50), 100, buffer_rows=800) as stream:
        np.testing.assert_array_equal(np.sort(rows_from(stream, 40).ravel()), np.arange(4_000))


def test_a_loader_that_is_shuffled_whole_is_held_twice() -> None:
    loader = LoaderSource(lambda: iter([{"row": np.arange(100)}]), n_rows=100)
    with Stream(loader, 10, buffer_rows=100, block_batches=1, read_ahead=1) as stream:
        assert stream.peak_rows >= 2 * 100 + 2 * 10


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
                DataError, match=r"field 'z' is NaN in rows 7, 107, 207, 307, 407, \.\.\."
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
            pytest.raises(DataError, match="'row' is NaN in row 7"),
        ):
            rows_from(stream, 1)

    def test_allow_and_infinities(self) -> None:
        with Stream(ArraySource({"row": self.values}), 10, nan="allow") as stream:
            assert np.isnan(rows_from(stream, 100)).sum() == 10
        with Stream(ArraySource({"row": np.array([np.inf, -np.inf, 1.0])}), 3) as stream:
            assert np.isinf(rows_from(stream, 1)).sum() == 2  # whose sum is NaN, and which are not


class TestErrors:
    def test_they_come_at_the_block_concerned_and_can_be_repaired(self) -> None:
        source = Made(1_000, 50)
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
            with pytest.raises(
                DataError, match=r"row.npy: rows \d+ to \d+ of field 'row'.*cut short"
            ):
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

    def test_a_source_that_breaks_its_promise(self) -> None:
        source = Made(100, 10)
        source.fields["x"] = Field((98,), np.dtype(float))
        with (
            Stream(source, 10) as stream,
            pytest.raises(DataError, match=r"returned 'x' as float64 of shape \(10, 99\)"),
        ):
            rows_from(stream, 1)
        with pytest.raises(DataError, match="bounds must rise"):
            Stream(Made(100, 10, bounds=np.array([0, 50, 100])), 10)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"batch_size": 0}, ValueError, r"batch_size=0.*positive integer"),
            ({"batch_size": 101}, ValueError, "only 100 rows"),
            (
                {"buffer_rows": 19},
                ValueError,
                "buffer_rows=19: .* 10 rows at a time; take at least twice as many",
            ),
            ({"read_ahead": 0}, ValueError, "read_ahead=0"),
            ({"block_batches": 1.5}, ValueError, "block_batches=1.5"),
            ({"nan": "ignore"}, ValueError, "'raise', 'drop', 'allow'"),
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
