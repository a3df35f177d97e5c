"""How rows of a source are asked for: one caller at a time, checked, with errors that say where."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pymc as pm
import pytest
from row_sources import SEED, SOURCES, Numbered, rows_from

import vi
from vi import data
from vi.data import DataError, Field, Stream, head, source_from
from vi.data.sources.reading import read_rows, read_rows_into


class OneAtATime(Numbered):
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


def test_streams_and_other_callers_of_one_source_take_turns() -> None:
    source = OneAtATime(2_000, 50)
    with Stream(source, 100, buffer_rows=400) as one, Stream(source, 100, buffer_rows=400) as two:
        for stream in (one, two):
            stream.start(SEED, 0)
        for step in range(20):
            np.testing.assert_array_equal(head(source, 10)["row"], np.arange(10))
            for stream in (one, two):
                stream.block(step)


class BothAtOnce(Numbered):
    """A source that allows several threads: each call waits for another one to go on."""

    concurrent = True
    meeting = threading.Barrier(2, timeout=10)

    def take(self, rows):
        self.meeting.wait()
        return super().take(rows)


def test_a_concurrent_source_is_read_by_two_threads() -> None:
    with Stream(BothAtOnce(400, 50), 10, buffer_rows=200, block_batches=1) as stream:
        stream.start(SEED, 0)
        assert stream.block(0).count == 1


def test_a_source_that_was_read_can_be_pickled() -> None:
    source = Numbered(100, 10)
    read_rows(source, 0, 10)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(read_rows(again, 5, 7)["row"], [5, 6])


def test_what_is_returned_is_checked_and_put_into_place() -> None:
    source = Numbered(100, 10)
    out = {"row": np.empty(3, np.int32)}
    read_rows_into(source, 4, 7, out)
    np.testing.assert_array_equal(out["row"], [4, 5, 6])
    source.fields = source.fields | {"z": Field((), np.dtype(float))}
    with pytest.raises(DataError, match="'z' is missing"):
        read_rows(source, 0, 3)
    source.fields = {"x": Field((98,), np.dtype(float))}
    with pytest.raises(DataError, match=r"returned 'x' as float64 of shape \(3, 99\)"):
        head(source, 3)


FILES = {
    "npy": "x.npy",
    "zarr": "rows.zarr",
    "dask": "rows.zarr",
    "parquet": "b.parquet",
    "netcdf": "rows.nc",
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_vanish(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    path = tmp_path / FILES[name]
    if name == "netcdf":
        path.rename(tmp_path / "elsewhere")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(DataError, match=rf"{FILES[name]}.*rows \d+ to \d+ .*cannot be read"):
        source.take(slice(100, 137))


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_cut_short(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    path = tmp_path / FILES[name]
    if path.is_dir():
        path = path / "x" / "c" / "10" / "0"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 10)
    with pytest.raises(DataError, match=rf"{FILES[name]}.*rows \d+ to \d+ .*cannot be read"):
        source.take(slice(100, 137))


class Mine(Numbered):
    """Faults are subclasses, or attributes that are set."""

    def __init__(self):
        super().__init__(20, 10)


def returning(value):
    source = Mine()
    source.take = lambda rows: value
    return source


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "returned nothing; a dict of arrays"),
        ([np.arange(5)], "returned a list; a dict"),
        ((np.arange(5), np.zeros((5, 99))), "returned a tuple; a dict"),
        ({"row": [0, 1], "x": np.zeros((5, 99))}, "returned 'row' as a list; a NumPy array of int"),
        (
            {"row": np.arange(3), "x": np.zeros((3, 99))},
            r"returned 'row' as int64 of shape \(3,\); .*\(5,\)",
        ),
    ],
)
def test_what_take_returns_is_said_with_the_rows(value, says):
    with pytest.raises(DataError, match=rf"take\(\) of rows 3 to 7 {says}"):
        read_rows(returning(value), 3, 8)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("locked"), TypeError("odd")])
def test_whatever_a_reader_raises_is_said_with_the_rows(error):
    source = Mine()

    def take(rows):
        raise error

    source.take = take
    with pytest.raises(DataError, match=rf"rows 3 to 7 cannot be read \({type(error).__name__}"):
        read_rows(source, 3, 8)
    with pytest.raises(DataError, match=r"rows 0 to 9 cannot be read"):
        rows_from(Stream(source, 5, shuffle=False), 1)


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("n_rows", None, TypeError, "has no n_rows: its __init__ sets"),
        ("fields", None, TypeError, "has no fields: its __init__ sets"),
        ("chunk_rows", None, TypeError, "has no chunk_rows: its __init__ sets"),
        ("chunk_rows", 0, DataError, "chunk_rows=0 .*a row in a chunk"),
        ("chunk_rows", 2.5, TypeError, r"chunk_rows=2\.5: must be a whole number"),
        ("n_rows", "20", TypeError, "n_rows='20': must be a whole number"),
        ("fields", ["x"], TypeError, r"fields=\['x'\]: must be a dict of vi\.data\.Field"),
        ("fields", {"x": float}, TypeError, "must be a dict of vi.data.Field"),
    ],
)
def test_what_a_source_promises_is_looked_at_first(name, value, error, says):
    source = Mine()
    if value is None:
        delattr(source, name)
    else:
        setattr(source, name, value)
    for use in (lambda: Stream(source, 5), lambda: source_from(source)):
        with pytest.raises(error, match=says):
            use()


def test_a_field_takes_whatever_is_a_type_of_numbers():
    assert Field((2,), "float32") == Field((2,), np.dtype(np.float32))
    assert Field((), float).nbytes == 8


def replaced(path, values):
    """Another file of the same size in the place of the old one, as an editor or a job puts it."""
    other = path.with_suffix(".new.npy")
    np.save(other, values)
    other.replace(path)


def rewritten(path, values):
    np.save(path, values)


@pytest.mark.parametrize("change", [replaced, rewritten])
def test_a_file_that_changes_between_windows(tmp_path, change):
    values = np.arange(4000.0)
    path = tmp_path / "x.npy"
    np.save(path, values)
    source = data.ArraySource({"x": path}, chunk_rows=10)
    with data.Stream(source, batch_size=10, buffer_rows=20) as stream:
        stream.start(seed=(1, 2), step=0)
        stream.block(0)
        change(path, values[::-1])
        # while it is written anew it is short: a reader may meet that first
        with pytest.raises(data.DataError, match=r"x\.npy.*(replaced or written to|cut short)"):
            stream.block(399)
    with pytest.raises(data.DataError, match="open the file anew"):
        data.Stream(source, batch_size=10)
    fresh = data.ArraySource({"x": path}, chunk_rows=10)
    np.testing.assert_array_equal(data.head(fresh, 3)["x"], [3999.0, 3998.0, 3997.0])


@pytest.mark.slow
def test_a_fit_on_a_replaced_file_keeps_its_last_state(tmp_path):
    path = tmp_path / "y.npy"
    values = np.random.default_rng(1).normal(3.0, 1.0, 20_000)
    np.save(path, values)
    with pm.Model() as model:
        y = pm.Data("y", values[:10])
        pm.Normal("likelihood", pm.Normal("mu", 0, 10), 1.0, observed=y, total_size=20_000)

    def change(approx, losses, i):
        if i == 100:
            replaced(path, -values)

    approx = vi.MeanField(model=model, random_seed=1)
    source = data.ArraySource({"y": path}, chunk_rows=100)
    with data.Stream(source, batch_size=10, buffer_rows=200) as stream:
        inference = vi.KLqp(approx)
        with pytest.raises(data.DataError, match="has been replaced"):
            inference.fit(20_000, data=stream, callbacks=[change], progressbar=False)
    assert approx.status.ending == "failed"
    assert approx.status.step >= 100
    assert np.isfinite(approx.mean.eval()).all()
