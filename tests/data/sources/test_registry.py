"""Which class reads what: each object one of the library, the newest class first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from row_sources import EXAMPLES, Numbered, X, arrow_table, examples_of

import vi.data
from vi.data import (
    ArraySource,
    DatasetSource,
    FrameSource,
    LoaderSource,
    ParquetSource,
    Source,
    register_source,
    source_from,
)
from vi.data.sources import registry


@pytest.fixture(autouse=True)
def classes_stay_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", list(registry._classes))


def batches() -> Iterator[dict[str, np.ndarray]]:
    yield {"x": X}


OBJECTS = [
    ({"x": X}, ArraySource),
    ("x.npy", ArraySource),
    (Path("X.NPY"), ArraySource),
    (xr.Dataset({"x": ("row", [1.0])}), DatasetSource),
    ("rows.zarr", DatasetSource),
    ("rows.nc", DatasetSource),
    (pd.DataFrame({"x": [1.0]}), FrameSource),
    ("rows.parquet", ParquetSource),
    (batches, LoaderSource),
    (batches(), LoaderSource),
    ([{"x": X}], LoaderSource),
    (X, None),
    (xr.DataArray(X), None),
    (pd.Series([1.0]), None),
    (ArraySource, None),
    (None, None),
    ("rows.csv", None),
]


@pytest.mark.parametrize(("given", "expected"), OBJECTS, ids=lambda x: type(x).__name__)
def test_each_object_is_read_by_one_class_of_the_library(given, expected) -> None:
    library = [c for c in registry.source_classes() if c.__module__.startswith("vi.data.sources")]
    assert [c for c in library if c.reads(given)] == [expected][: expected is not None]


def test_folders_and_tables_of_optional_packages(tmp_path: Path) -> None:
    assert registry.class_for(tmp_path / "none") is None
    assert registry.class_for(tmp_path) is ParquetSource
    assert registry.class_for(arrow_table()) is FrameSource
    frame = pytest.importorskip("polars").DataFrame({"x": [1.0]})
    assert registry.class_for(frame) is registry.class_for(frame.lazy()) is FrameSource


def test_every_class_of_the_library_is_registered() -> None:
    public = {c for c in vars(vi.data).values() if isinstance(c, type) and issubclass(c, Source)}
    assert {c for c in public if c is not Source} <= set(registry.source_classes())
    assert all(c.accepts for c in public if c is not Source)


def test_every_registered_class_has_an_example(tmp_path: Path) -> None:
    assert set(EXAMPLES) <= set(registry.source_classes())

    @register_source
    class NoExample(Numbered):
        @classmethod
        def reads(cls, data):
            return data == "no example"

    (make,) = examples_of(NoExample).values()
    with pytest.raises(pytest.fail.Exception, match=r"NoExample has no example.* EXAMPLES"):
        make(tmp_path)


def test_loaders_are_asked_last() -> None:
    """They read whatever can be iterated over, which another class may know better."""
    assert registry.source_classes()[-1] is LoaderSource


def test_the_newest_class_is_asked_first_and_open_may_make_another_source() -> None:
    @register_source
    class Ranges(Numbered):
        accepts = "a range"

        @classmethod
        def reads(cls, data):
            return isinstance(data, range)

        @classmethod
        def open(cls, data, n_rows):
            return cls(len(data), 10)

    assert registry.source_classes()[0] is Ranges
    assert source_from(range(7)).n_rows == 7  # which a loader would take too
    with pytest.raises(TypeError, match="a range"):
        source_from(3)

    @register_source
    class Lists(Numbered):
        @classmethod
        def reads(cls, data):
            return isinstance(data, list)

        @classmethod
        def open(cls, data, n_rows):
            return ArraySource({"x": data})

    np.testing.assert_array_equal(source_from([1, 2]).take(slice(0, 2))["x"], [1, 2])


def test_a_class_that_is_defined_once_more_replaces_the_first() -> None:
    def define() -> type[Source]:
        @register_source
        class Again(Numbered):
            @classmethod
            def reads(cls, data):
                return data == "again"

        return Again

    first, second = define(), define()
    assert registry.class_for("again") is second
    assert first not in registry.source_classes()


def test_what_cannot_be_registered() -> None:
    class NoTake(Source):
        @classmethod
        def reads(cls, data):
            return False

    for wrong in (NoTake, Source, dict, 3):
        with pytest.raises(TypeError, match=r"cannot be registered: give a subclass of Source"):
            register_source(wrong)
    with pytest.raises(TypeError, match=r"Numbered cannot be registered without .* reads\(data\)"):
        register_source(Numbered)


@pytest.mark.parametrize("name", ["reads", "open"])
def test_what_is_asked_before_there_is_an_object_is_a_classmethod(name) -> None:
    kind = type("Mine", (Numbered,), {"reads": classmethod(lambda cls, data: False)})
    setattr(kind, name, lambda self, *arguments: False)
    with pytest.raises(TypeError, match=rf"Mine\.{name} must be a classmethod"):
        register_source(kind)
    setattr(kind, name, staticmethod(lambda *arguments: False))
    with pytest.raises(TypeError, match=rf"Mine\.{name} must be a classmethod"):
        register_source(kind)


def test_what_is_opened_is_a_source() -> None:
    class Opens(Numbered):
        @classmethod
        def reads(cls, data):
            return data == "mine"

        @classmethod
        def open(cls, data, n_rows):
            return [1.0]

    register_source(Opens)
    with pytest.raises(TypeError, match=r"Opens\.open\(\) must return a source, got list"):
        source_from("mine")
