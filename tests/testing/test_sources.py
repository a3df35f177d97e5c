"""The check of sources names every fault that it is for."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vi.data import DataError, Field, LoaderSource, Source
from vi.testing import check_source

N = 23


class Wrong(Source):
    """Squares, right but for one chosen fault."""

    chunk_rows = 5
    reads_into = True

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.n_rows = N + 1 if fault in ("fewer", "fewer at the end", "fewer, an error") else N
        self.fields = {"n": Field((), np.int64), "x": Field((2,), np.float32)}
        self.reads_made = 0
        self.numbers = np.arange(N)
        self.values = np.arange(2 * N, dtype=np.float32).reshape(N, 2)
        self.place = 0
        self.concurrent = fault == "threads"
        attribute = {
            "no n_rows": "n_rows",
            "no chunk_rows": "chunk_rows",
        }.get(fault)
        if attribute == "n_rows":
            del self.n_rows
        if fault == "fields":
            self.fields = {"n": (np.int64, ())}
        if fault == "bounds":
            self.bounds = np.array([0, 5, 10, N - 1])
        if fault == "long bounds":
            self.bounds = np.array([0, 10, N])

    def take(self, rows):
        self.reads_made += 1
        fault = self.fault
        if isinstance(rows, slice):
            start, stop = rows.start, rows.stop
            if fault == "fewer, an error" and stop > N:
                raise IndexError(f"row {stop - 1}")
            if fault == "snaps" and start % self.chunk_rows:
                start, stop = start - 1, stop - 1
            if fault == "overlap" and stop - start > self.chunk_rows:
                start, stop = start + 1, stop + 1
            if fault == "threads":
                self.place = start
                time.sleep(1e-3)
                start, stop = self.place, self.place + stop - start
            chosen = np.arange(start, min(stop, N))
        else:
            if fault == "no numbers":
                chosen = np.arange(rows.start, rows.stop)
            if fault == "empty" and not len(rows):
                raise KeyError("no rows")
            chosen = {"sorts": np.sort, "unique": np.unique}.get(fault, np.asarray)(rows)
            if fault == "beyond":
                chosen = np.minimum(chosen, N - 1)
        if len(chosen) and chosen[-1] >= N:
            raise IndexError("no such row")
        n, x = self.numbers[chosen], self.values[chosen]
        if fault == "views" and isinstance(rows, slice):
            n, x = self.numbers[rows], self.values[rows]
        if fault == "read-only":
            x.flags.writeable = False
        if fault == "twice":
            x = x + self.reads_made
        return {
            "dtype": {"n": n.astype(float), "x": x},
            "shape": {"n": n, "x": x[:, 0]},
            "missing": {"n": n},
            "list": {"n": n.tolist(), "x": x},
            "nothing": None,
        }.get(fault, {"n": n, "x": x})

    def take_into(self, start, stop, out):
        out["n"][...] = self.numbers[start:stop] + (self.fault == "into")
        out["x"][...] = self.values[start:stop]


FAULTS = {
    "no n_rows": r"The source Wrong has no n_rows: its __init__ sets",
    "fields": r"must be a dict of vi\.data\.Field",
    "bounds": r"bounds must end with n_rows=23; they end with 22",
    "long bounds": r"chunk_rows=5 must be the longest chunk of bounds, 13",
    "dtype": r"returned 'n' as float64 .*int64 of shape \(5,\) was to come",
    "shape": r"returned 'x' as float32 of shape \(5,\); float32 of shape \(5, 2\)",
    "missing": r"'x' is missing",
    "list": r"returned 'n' as a list",
    "nothing": r"returned nothing; a dict of arrays",
    "fewer": r"n_rows=24 is promised, and rows 20 to 23 are 3: there are fewer rows than promised",
    "fewer, an error": r"n_rows=24 is promised.*no such row .*fewer rows than promised",
    "snaps": r"are not those of the chunks they lie in: 'n' differs first in row 0",
    "overlap": r"rows 0 to 22 in one go and chunk by chunk differ|fewer rows",
    "twice": r"rows 0 to 4, read twice, differ: 'x' differs first in row 0",
    "views": r"writes to what take\(\) returned changes the rows of the next call",
    "read-only": r"'x' cannot be written to: .*; copy it",
    "sorts": r"take\(\) of unsorted row numbers gives other rows than slices do",
    "unique": r"take\(\) of .* row numbers gives other rows than slices do",
    "no numbers": r"take\(\) of unsorted row numbers raises AttributeError",
    "empty": r"take\(\) of no row numbers raises KeyError",
    "beyond": r"take\(\) of row 23 returns something; .* must raise IndexError",
    "threads": r"when 4 threads read.*concurrent = True does not hold",
    "into": r"take_into\(\) puts other rows than take\(\) returns: 'n'",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_fault(fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_source(Wrong(fault))


@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_a_right_one_passes(rows):
    check_source(Wrong(), rows=rows)


@pytest.mark.parametrize(
    ("lengths", "match"),
    [([5, 5], None), ([5, 4], "11? rows|n_rows=10"), ([5, 6], "goes on after n_rows=10 rows")],
)
def test_one_with_an_order_of_its_own(lengths, match):
    source = LoaderSource(
        lambda: ((np.zeros(n), np.ones((n, 2))) for n in lengths), n_rows=10, names=("x", "y")
    )
    if match is None:
        check_source(source)
        return
    with pytest.raises(AssertionError, match=match):
        check_source(source)


def test_rows_that_cannot_be_read():
    class Broken(Wrong):
        def take(self, rows):
            raise DataError("the disk is gone")

    with pytest.raises(AssertionError, match=r"rows 0 to 4 cannot be read: the disk is gone"):
        check_source(Broken())


def test_what_is_no_source():
    with pytest.raises(AssertionError, match=r"Wrong is a class: open one"):
        check_source(Wrong)
    with pytest.raises(AssertionError, match=r"expected a source, .*; got 3"):
        check_source(3)
