"""Readers: every row once an epoch, in an order that a plain computation gives as well."""

from __future__ import annotations

import numpy as np
import pytest
from row_sources import SEED, SOURCES, N, Numbered, numbered, rows_from

from vi.data import ArraySource, LoaderSource, Stream
from vi.data.streams.order import Order, permuted
from vi.data.streams.readers import Reader, Window, in_order


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("small", [True, False], ids=["windows", "one window"])
def test_every_row_once_an_epoch(name: str, shuffle: bool, small: bool, tmp_path) -> None:
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


@pytest.mark.parametrize("kind", ["one window", "windows", "uneven chunks", "no NaN", "in order"])
def test_a_batch_depends_on_seed_and_step_alone(kind: str) -> None:
    def stream(**options) -> Stream:
        if kind == "uneven chunks":
            source = Numbered(100, 30, bounds=np.array([0, 30, 35, 60, 61, 61, 90, 100]))
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
        return Stream(source, 9, buffer_rows=buffer, nan=nan, shuffle=kind != "in order", **options)

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


def test_seeds() -> None:
    with Stream(numbered(50), 10) as stream:
        first = rows_from(stream, 10)
        np.testing.assert_array_equal(rows_from(stream, 10), first)
        for seed in ((1, 3), (2, 2), (2**32 - 1, 0)):
            assert (rows_from(stream, 10, seed=seed) != first).any()


def in_windows(chunks: list[np.ndarray], window: int, seed, epochs: int) -> np.ndarray:
    """Row numbers of some epochs by the definition: chunks permuted, then each window's rows."""
    order = Order(np.array([len(c) for c in chunks]), window, seed)
    parts = []
    for epoch in range(epochs):
        for k, at in enumerate(range(0, len(chunks), window)):
            rows = np.concatenate([chunks[c] for c in order.chunks(epoch)[at : at + window]])
            parts.append(rows if seed is None else permuted(seed, epoch, k, rows))
    return np.concatenate(parts)


@pytest.mark.parametrize("kind", ["equal", "uneven", "whole", "in order", "loader", "no NaN"])
def test_rows_come_in_the_order_of_its_definition(kind: str) -> None:
    n, options, seed, window = 103, {"buffer_rows": 40}, SEED, 2
    bounds = np.array([0, 10, 13, 20, 21, 31, 40, 50, 60, 70, 80, 90, 100, 103])
    if kind != "uneven":
        bounds = np.append(np.arange(0, n, 10), n)
    chunks = np.split(np.arange(n), bounds[1:-1])
    source = Numbered(n, 10, bounds)
    if kind == "whole":
        options, chunks, window = {"buffer_rows": n}, [np.arange(n)], 1
    elif kind == "in order":
        options, seed = {"shuffle": False}, None
    elif kind == "loader":
        parts = np.split(np.arange(n), [3, 3, 17, 60, 61])
        source = LoaderSource(lambda: iter([{"row": part} for part in parts]), n_rows=n)
        # windows of 20 rows, in their own order; chunks are not permuted
        expected = [
            permuted(SEED, epoch, k, np.arange(n)[at : at + 20])
            for epoch in range(3)
            for k, at in enumerate(range(0, n, 20))
        ]
    elif kind == "no NaN":
        values = np.where(np.arange(n) % 7, np.arange(n, dtype=float), np.nan)
        source = ArraySource({"row": values}, chunk_rows=10)
        options["nan"] = "drop"
        chunks = [chunk[chunk % 7 > 0] for chunk in chunks]
    if kind == "loader":
        rows = np.concatenate(expected)
    else:
        rows = in_windows(chunks, window, seed, 3)
    steps = len(rows) // 9
    with Stream(source, 9, **options, block_batches=4) as stream:
        np.testing.assert_array_equal(rows_from(stream, steps), rows[: steps * 9].reshape(-1, 9))


@pytest.mark.parametrize("lengths", [[1] * 30, [30], [7, 0, 23], [29, 1]], ids=str)
@pytest.mark.parametrize("skip", [0, 4, 11])
def test_any_lengths_are_filled_from_any_windows(lengths: list[int], skip: int) -> None:
    order = np.random.default_rng(1).permutation(20)
    rows = {"row": np.arange(20.0)}
    used = []
    parts = iter(
        [
            Window({"row": np.arange(100.0, 105.0)}),
            Window({"row": np.empty(0)}),
            Window(rows, order, used.append),
            Window({"row": np.arange(200.0, 220.0)}),
        ]
    )
    reader, outs = Reader(parts, skip), []
    for n in lengths:
        out = {"row": np.empty(n)}
        reader.fill(out)
        outs.append(out["row"])
    expected = np.concatenate([np.arange(100.0, 105.0), order, np.arange(200.0, 220.0)])
    np.testing.assert_array_equal(np.concatenate(outs), expected[skip : skip + 30])
    assert used == sorted(used)
    assert used[-1] == 20


def test_parts_in_order_are_let_go_of() -> None:
    alive = []

    class Part(dict):
        def __init__(self, k: int) -> None:
            super().__init__(row=np.full(5, k))
            alive.append(k)

        def __del__(self) -> None:
            alive.remove(self["row"][0])

    reader, out = Reader(in_order(map(Part, range(9))), 0), {"row": np.empty(4, int)}
    for _ in range(10):
        reader.fill(out)
        assert len(alive) <= 1
    assert out["row"].tolist() == [7, 7, 7, 7]


@pytest.mark.parametrize("name", SOURCES)
def test_all_rows_once_in_order(name: str, tmp_path) -> None:
    """In blocks of one length but for the last, whatever chunks the source has."""
    source = SOURCES[name](tmp_path)
    with Stream(source, 20, buffer_rows=N) as stream:
        blocks = [block["x"] for block in stream.once(30)]
    assert [len(block) for block in blocks] == [30, 30, 30, 30, 17]
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0] // 3, np.arange(N))


def test_some_rows_are_pieces_from_anywhere() -> None:
    row = np.where(np.arange(100) == 42, np.nan, np.arange(100.0))
    stream = Stream(ArraySource({"row": row}, chunk_rows=8), 9, nan="drop")
    pieces = [p["row"] for p in stream.some(7, 5, np.random.default_rng(1))]
    again = [p["row"] for p in stream.some(7, 5, np.random.default_rng(1))]
    assert len(pieces) == 5
    assert all(np.array_equal(a, b) for a, b in zip(pieces, again, strict=True))
    assert all(np.all(np.diff(p) == 1) for p in pieces if 41 not in p)
    every = np.concatenate([p["row"] for p in stream.some(7, 99, np.random.default_rng(1))])
    np.testing.assert_array_equal(every, row[~np.isnan(row)])


def test_some_rows_of_a_loader_are_its_first() -> None:
    def loader():
        return iter([{"row": np.arange(i, i + 10)} for i in range(0, 50, 10)])

    stream = Stream(LoaderSource(loader, n_rows=50), 9)
    pieces = [p["row"] for p in stream.some(7, 3, np.random.default_rng(1))]
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(21))
