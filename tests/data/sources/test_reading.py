"""How rows of a source are asked for: one caller at a time, checked, with errors that say where."""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from row_sources import SEED, SOURCES, Numbered, rows_from

from vi.data import DataError, Field, Stream, head
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
