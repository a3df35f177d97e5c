"""Sources: rows by number, whatever they come from, and what is said about those that cannot be
read.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from row_sources import BY_NUMBER, SOURCES, K, N, X, Y, dataset

from vi import data
from vi.data import DataError


@pytest.mark.parametrize("name", SOURCES)
def test_says_what_rows_are(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    assert source.n_rows == N
    assert {k: f.shape for k, f in source.fields.items()} == {"x": (K,), "y": ()}
    assert source.fields["x"].dtype == np.float32
    assert source.fields["y"].dtype == np.int64
    assert 1 <= source.chunk_rows <= N


@pytest.mark.parametrize("name", BY_NUMBER)
def test_takes_rows_by_number(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    source = SOURCES[name](tmp_path)
    for rows in (
        slice(0, N),
        slice(7, 95),
        slice(130, 10_000),
        slice(5, 5),
        np.array([], int),
        rng.integers(N, size=300),
    ):
        got = source.take(rows)
        np.testing.assert_array_equal(got["x"], X[rows])
        np.testing.assert_array_equal(got["y"], Y[rows])
        assert all(
            v.dtype == source.fields[k].dtype and v.flags.c_contiguous and v.flags.writeable
            for k, v in got.items()
        )
    got["x"][:] = -1
    np.testing.assert_array_equal(
        source.take(slice(0, N))["x"], X
    )  # what was taken is the caller's
    with pytest.raises(IndexError, match=f"0 to {N - 1}"):
        source.take(np.array([0, N]))
    source.close()


@pytest.mark.parametrize("name", SOURCES)
def test_head_and_all_rows(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    np.testing.assert_array_equal(data.head(source, 45)["x"], X[:45])
    assert len(data.head(source, N)["y"]) == N
    starts, parts = zip(*data.batches_of(source, 25), strict=True)
    assert all(0 < len(part["y"]) <= 25 for part in parts)
    np.testing.assert_array_equal(starts, np.cumsum([0, *(len(part["y"]) for part in parts[:-1])]))
    np.testing.assert_array_equal(np.concatenate([part["x"] for part in parts]), X)


def test_parts_of_a_memory_map_are_read_from_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for part in (
        mapped[10:50],
        np.asarray(mapped)[20:],
        mapped[:, :, None],
        mapped[::2],
        mapped[:, 1:],
    ):
        source = data.ArraySource({"x": part})
        np.testing.assert_array_equal(source.take(slice(3, 9))["x"], np.array(part[3:9]))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[0] = 7
    np.testing.assert_array_equal(
        data.ArraySource({"x": private}).take(slice(0, 1))["x"], [[7, 7, 7]]
    )


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


def test_arrow_lists_and_nulls() -> None:
    pa = pytest.importorskip("pyarrow")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), K)
    source = data.source_from(pa.table({"x": vectors, "z": pa.array([None, *Y[1:].astype(float)])}))
    np.testing.assert_array_equal(source.take(slice(100, 120))["x"], X[100:120])
    assert np.isnan(source.take(slice(0, 1))["z"][0])
    nulls = data.source_from(pa.table({"y": pa.array([1, None])}))
    with pytest.raises(DataError, match="'y' of type int64 has 1 nulls"):
        nulls.take(slice(0, 2))


@pytest.mark.parametrize(
    "make", [pd.DataFrame, lambda c: pytest.importorskip("polars").DataFrame(c)]
)
def test_missing_values_of_frames(make) -> None:
    frame = make({"f": [1.0, None], "i": [1, 2]})
    np.testing.assert_array_equal(data.source_from(frame).take(slice(0, 2))["f"], [1.0, np.nan])
    if isinstance(frame, pd.DataFrame):
        frame = frame.astype({"i": "Int64"})
        assert data.source_from(frame).fields["i"].dtype == np.int64
        frame.loc[1, "i"] = pd.NA
    else:
        frame = make({"i": [1, None]})
    with pytest.raises(DataError, match=r"column 'i' .* missing values"):
        data.source_from(frame).take(slice(0, 2))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ValueError, "no arrays"),
        ({"x": X, "y": Y[:-1]}, ValueError, "'x' has 137, 'y' has 136"),
        ({"x": 1.0}, ValueError, "'x' is a single value"),
        ({"x": np.array(["a", "b"])}, TypeError, "'x' has dtype <U1"),
        ({"x": np.array(["2020-01-01"], "M8[D]")}, TypeError, "seconds for dates"),
        ({"x": np.ma.masked_array([1.0], [True])}, TypeError, "masked"),
        ({"x": xr.DataArray([1.0])}, TypeError, "xarray.Dataset of all fields"),
        ({"x": "no.npy"}, FileNotFoundError, "'x': there is no file no.npy"),
        ({"x": "rows.txt"}, ValueError, r"not a .npy file"),
        (X, TypeError, "no names"),
        ("nowhere.zarr", FileNotFoundError, "nowhere.zarr"),
        (xr.Dataset(), ValueError, "no data variables"),
        (xr.Dataset({"x": ("a", [1.0]), "y": ("b", [1.0])}), ValueError, "No dimension is shared"),
        (pd.DataFrame({"x": ["a"]}), TypeError, "'x' has dtype"),
        (iter([X]), TypeError, "n_rows= is needed"),
        (3, TypeError, "cannot be read from 3"),
    ],
)
def test_what_is_no_source(given, error, message) -> None:
    with pytest.raises(error, match=message):
        data.source_from(given)


def test_wrong_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"n_rows=5, but .* has 137 rows"):
        data.source_from({"x": X}, n_rows=5)
    with pytest.raises(ValueError, match=r"takes columns \['d'\]; there are a, b"):
        data.FrameSource(pd.DataFrame({"a": [1], "b": [2]}), fields={"x": ["a", "d"]})
    with pytest.raises(TypeError, match=r"must be strings, got 0; .*rename\(columns=str\)"):
        data.FrameSource(pd.DataFrame(np.ones((3, 2))))
    with pytest.raises(ValueError, match="several columns are called 'a'"):
        data.FrameSource(pd.DataFrame([[1, 2.0]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="dim='k' is not a dimension of"):
        data.DatasetSource(dataset(), dim="k")
    with pytest.raises(ValueError, match="chunk_rows=0"):
        data.ArraySource({"x": X}, chunk_rows=0)
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"rows are read from .npy, .parquet"):
        data.source_from(tmp_path / "rows.csv")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r'pip install "pymc-vi\[data\]"'):
        data.ParquetSource("rows.parquet")


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


class Tensor:
    """Enough of a torch tensor: NumPy takes it, nothing else does."""

    def __init__(self, values) -> None:
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class Loader:
    """Enough of a torch DataLoader: iterated anew each epoch, its length is a number of batches."""

    def __init__(self, batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def test_a_loader_of_tensors() -> None:
    batches = [[Tensor(X[i : i + 50]), Tensor(Y[i : i + 50])] for i in range(0, N, 50)]
    source = data.LoaderSource(Loader(batches), n_rows=N, names=("x", "y"))
    assert source.fields["x"].shape == (K,)
    for _ in range(2):
        np.testing.assert_array_equal(
            np.concatenate([b["x"] for _, b in data.batches_of(source, 1000)]), X
        )
    with pytest.raises(DataError, match="its own order"):
        source.take(slice(0, 1))


GOOD = {"x": X[:10], "y": Y[:10]}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": X[:10], "z": Y[:10]}, r"has the keys \['x', 'z'\]; the first had \['x', 'y'\]"),
        ({"x": X[:10]}, r"keys \['x'\]"),
        (
            {"x": X[:10, :2], "y": Y[:10]},
            r"'x' have shape \(2,\) in a batch; in the first they had \(3,\)",
        ),
        (
            {"x": X[:10].astype(int), "y": Y[:10]},
            "'x' has dtype int64 in a batch; in the first it had float32",
        ),
        ({"x": X[:10], "y": Y[:9]}, r"differ in their rows: {'x': 10, 'y': 9}"),
        ({"x": X[:10], "y": 1}, "'y' of a batch is a single value"),
        ((X[:10], Y[:10]), r"a tuple of 2; say what its parts are called: .*names="),
    ],
)
def test_wrong_batches(batch, message) -> None:
    source = data.LoaderSource([GOOD, batch], n_rows=20)
    with pytest.raises(DataError, match=message):
        list(data.batches_of(source, 100))


def test_wrong_loaders() -> None:
    with pytest.raises(ValueError, match="n_rows=0"):
        data.LoaderSource([GOOD], n_rows=0)
    with pytest.raises(TypeError, match="gives no batches"):
        data.LoaderSource(3, n_rows=10)
    with pytest.raises(DataError, match="no batch at all"):
        data.LoaderSource([], n_rows=10)
    with pytest.raises(DataError, match="2 parts; names= has"):
        data.LoaderSource([(X, Y)], n_rows=N, names=("x",))
    with pytest.raises(DataError, match=r"ended after 10 rows; n_rows=11"):
        list(data.batches_of(data.LoaderSource([GOOD], n_rows=11), 5))
    with pytest.raises(DataError, match="only once"):
        list(data.batches_of(data.LoaderSource(iter([GOOD]), n_rows=10), 5))
