"""A check for those who write a source of rows: the same rows, however they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, DataError, Source
from vi.data.sources.reading import check_promises, read_rows
from vi.testing.common import check_seed, check_sizes, named, refused

__all__ = ["check_source"]

THREADS = 4


def check_source(source: Source, *, rows: int = 2000, seed: int = 0) -> None:
    """Check that a source keeps the contract of :class:`vi.data.Source`.

    Parameters
    ----------
    source : Source
        The source, opened. It is read, and not closed.
    rows : int
        About how many rows are looked at: the first ones, and the last. All of them where there are
        no more; that every row comes once is seen of those that are looked at.
    seed : int
        Seed of the row numbers.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are, in this order: ``n_rows``,
        ``fields`` and ``chunk_rows`` are there, ``bounds`` are those of chunks; there are as many
        rows as promised, of the fields' names, shapes and kinds; chunks, other slices and reading
        twice give the same rows; what was taken belongs to the caller; row numbers are taken
        unsorted, repeated and empty, and refused where there is no such row; several threads get
        the same; ``take_into`` puts the same rows into arrays.

    Notes
    -----
    A source without ``random_access`` gives rows in an order of its own: two epochs are read, and
    their rows counted.

    Examples
    --------
    >>> import numpy as np, vi
    >>> x = np.arange(12.0)
    >>> vi.testing.check_source(vi.data.ArraySource({"x": x, "y": x**2}, chunk_rows=5))
    """
    check_sizes(rows=rows)
    check_seed(seed)
    assert not isinstance(source, type), (
        f"{source.__name__} is a class: open one and give it, {source.__name__}(...)"
    )
    assert isinstance(source, Source), f"expected a source, a subclass of Source; got {source!r}"
    named(source, "origin", "rows.csv")
    with refused():
        try:
            check_promises(source)
        except DataError as error:
            raise AssertionError(str(error)) from error
    _check_bounds(source)
    if not source.random_access:
        _check_epochs(source)
        return
    pieces = list(_chunks(source, rows))
    for start, stop in pieces:
        _read(source, start, stop)
    _check_slices(source, pieces, seed)
    _check_ownership(source, pieces[0])
    _check_numbers(source, pieces, seed)
    _check_threads(source, pieces)
    if source.reads_into:
        _check_into(source, pieces)


def _check_bounds(source: Source) -> None:
    bounds = source.bounds
    if bounds is None:
        return
    bounds = np.asarray(bounds)
    lengths = np.diff(bounds)
    rising = bounds.ndim == 1 and len(bounds) > 1 and bounds[0] == 0 and np.all(lengths > 0)
    assert rising, (
        f"bounds must be the first row of each chunk, from 0 on, then n_rows; got {bounds[:5]}"
    )
    assert bounds[-1] == source.n_rows, (
        f"bounds must end with n_rows={source.n_rows}; they end with {bounds[-1]}"
    )
    assert lengths.max() <= source.chunk_rows, (
        f"chunk_rows={source.chunk_rows} must be the longest chunk of bounds, {lengths.max()}"
    )


def _chunks(source: Source, rows: int) -> Iterator[tuple[int, int]]:
    """The first chunks, and the last, of at most so many rows."""
    n, length = int(source.n_rows), min(int(source.chunk_rows), rows)
    if source.bounds is not None and source.chunk_rows <= rows:
        bounds = [int(bound) for bound in source.bounds]
    else:
        bounds = [*range(0, n, length), n]
    pieces = list(itertools.pairwise(bounds))
    count = max(1, rows // max(length, 1))
    yield from pieces[:count]
    if len(pieces) > count:
        yield pieces[-1]


def _read(source: Source, start: int, stop: int) -> Arrays:
    """Rows, of the form that was promised; fewer are named."""
    last = f"{source.origin}: n_rows={source.n_rows} is promised"
    try:
        arrays = source.take(slice(start, stop))
    except DataError as error:
        raise AssertionError(f"rows {start} to {stop - 1} cannot be read: {error}") from error
    except IndexError as error:
        raise AssertionError(
            f"{last}, and take() of rows {start} to {stop - 1} says that there is no such row "
            f"({error}): there are fewer rows than promised"
        ) from error
    if isinstance(arrays, dict):
        lengths = {len(value) for value in arrays.values() if np.ndim(value)}
        short = [length for length in lengths if length < stop - start]
        assert not short or stop < source.n_rows, (
            f"{last}, and rows {start} to {stop - 1} are {short[0]}: there are fewer rows than "
            "promised"
        )
    try:
        return read_rows(source, start, stop)
    except DataError as error:
        raise AssertionError(str(error)) from error


def _unlike(one: Arrays, two: Arrays) -> str:
    """Which field differs, and where first; empty where none does."""
    for name, values in one.items():
        other = two.get(name)
        if other is None or other.shape != values.shape:
            return f"{name!r} has the shape {values.shape} and {getattr(other, 'shape', None)}"
        same = values == other
        if values.dtype.kind in "fc" and other.dtype.kind in "fc":
            same |= np.isnan(values) & np.isnan(other)
        if not np.all(same):
            place = int(np.argwhere(~same)[0][0])
            return f"{name!r} differs first in row {place} of {len(values)}"
    return ""


def _part(arrays: Arrays, fields: Any, rows: Any) -> Arrays:
    return {name: arrays[name][rows] for name in fields}


def _check_slices(source: Source, pieces: list[tuple[int, int]], seed: int) -> None:
    """Slices that begin and end elsewhere, against chunk by chunk; each chunk twice."""
    for start, stop in (pieces[0], pieces[-1]):
        unlike = _unlike(_read(source, start, stop), _read(source, start, stop))
        assert not unlike, (
            f"rows {start} to {stop - 1}, read twice, differ: {unlike}. A row has one number, and "
            "is the same whenever it is read"
        )
    together = [
        piece for i, piece in enumerate(pieces) if piece[0] == (pieces[i - 1][1] if i else 0)
    ]
    end = together[-1][1]
    whole = _read(source, 0, end)
    parts = [_read(source, *piece) for piece in together]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in source.fields}
    unlike = _unlike(_part(whole, source.fields, slice(None)), joined)
    assert not unlike, (
        f"rows 0 to {end - 1} in one go and chunk by chunk differ: {unlike}. Every row comes "
        "exactly once, take(slice(a, b)) are the rows a to b - 1"
    )
    rng = np.random.default_rng(seed)
    cuts = rng.integers(0, end, size=(6, 2))
    for start, stop in ((min(cut), max(cut) + 1) for cut in cuts.tolist()):
        part = _read(source, start, stop)
        unlike = _unlike(_part(whole, source.fields, slice(start, stop)), part)
        assert not unlike, (
            f"rows {start} to {stop - 1} are not those of the chunks they lie in: {unlike}. "
            "take(slice(a, b)) begins with row a, wherever a chunk begins"
        )


def _check_ownership(source: Source, piece: tuple[int, int]) -> None:
    """What was taken can be written to, and nothing else changes."""
    before = {name: np.array(value) for name, value in _read(source, *piece).items()}
    taken = _read(source, *piece)
    for name in source.fields:
        assert taken[name].flags.writeable, (
            f"{name!r} cannot be written to: what take() returns belongs to the caller; copy it"
        )
        taken[name][...] = 0 if np.any(taken[name]) else 1
    unlike = _unlike(before, _read(source, *piece))
    assert not unlike, (
        f"who writes to what take() returned changes the rows of the next call ({unlike}): return "
        "a copy"
    )


def _check_numbers(source: Source, pieces: list[tuple[int, int]], seed: int) -> None:
    """Row numbers: unsorted, repeated, none, and one too many."""
    end = pieces[0][1]
    whole = _read(source, 0, end)
    rng = np.random.default_rng(seed)
    for what, numbers in (
        ("unsorted", rng.permutation(end)[:50]),
        ("repeated", rng.integers(0, end, size=50).repeat(2)),
        ("no", np.zeros(0, int)),
    ):
        try:
            got = source.take(numbers)
        except Exception as error:  # whatever code of a user's raises
            raise AssertionError(
                f"take() of {what} row numbers raises {type(error).__name__}: {error}. It takes a "
                "slice, or a vector of row numbers in any order"
            ) from error
        unlike = _unlike(_part(whole, source.fields, numbers), got)
        assert not unlike, (
            f"take() of {what} row numbers gives other rows than slices do: {unlike}. Rows come in "
            "the order of the numbers, as often as they are named"
        )
    try:
        source.take(np.array([source.n_rows]))
    except (IndexError, DataError):
        return
    raise AssertionError(
        f"take() of row {source.n_rows} returns something; n_rows={source.n_rows}, so that it must "
        "raise IndexError"
    )


def _check_threads(source: Source, pieces: list[tuple[int, int]]) -> None:
    """Several threads at once: in turn, or really so where the class says ``concurrent``."""
    wanted = [_read(source, *piece) for piece in pieces]
    jobs = [i for _ in range(THREADS) for i in range(len(pieces))][: max(THREADS * 8, len(pieces))]
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [(i, pool.submit(read_rows, source, *pieces[i])) for i in jobs]
        for i, future in futures:
            start, stop = pieces[i]
            try:
                unlike = _unlike(wanted[i], future.result())
            except DataError as error:
                unlike = str(error)
            assert not unlike, (
                f"rows {start} to {stop - 1} differ when {THREADS} threads read: {unlike}. "
                + (
                    "concurrent = True does not hold; leave it out, and calls follow each other"
                    if source.concurrent
                    else "Keep nothing of a thread's own (a connection) between calls"
                )
            )


def _check_into(source: Source, pieces: list[tuple[int, int]]) -> None:
    for start, stop in (pieces[0], pieces[-1]):
        out = {
            name: np.empty((stop - start, *field.shape), field.dtype)
            for name, field in source.fields.items()
        }
        source.take_into(start, stop, out)
        unlike = _unlike(_part(_read(source, start, stop), source.fields, slice(None)), out)
        assert not unlike, f"take_into() puts other rows than take() returns: {unlike}"


def _check_epochs(source: Any) -> None:
    """Two epochs of a source with an order of its own."""
    batches = source.endless(lambda batch, first: batch)
    try:
        for epoch in (1, 2):
            count, ended = 0, False
            while not ended:
                rows, ended = next(batches)
                length = {name: len(values) for name, values in rows.items()}
                assert len(set(length.values())) == 1, f"a batch has fields of lengths {length}"
                for name, field in source.fields.items():
                    value = rows[name]
                    same = value.shape[1:] == field.shape and value.dtype.kind == field.dtype.kind
                    assert same, (
                        f"{name!r} comes as {value.dtype} {value.shape[1:]}; {field.dtype} "
                        f"{field.shape} is promised"
                    )
                count += next(iter(length.values()))
            assert count == source.n_rows, (
                f"epoch {epoch} has {count} rows; n_rows={source.n_rows} is promised"
            )
    except DataError as error:
        raise AssertionError(str(error)) from error
    finally:
        batches.close()
