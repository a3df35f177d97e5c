"""Rows that come from elsewhere batch by batch: data loaders, generators, functions that return
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, DataError, Field, Source, check_dtype

__all__ = ["LoaderSource"]


class LoaderSource(Source):
    """An iterable of batches, whose rows come in its own order.

    When it ends it is started anew: a function is called again, an iterable is iterated again. The
    rows of each epoch are counted and must be ``n_rows``, for the likelihood is scaled by that
    number. The iterator lives on between two fits: going on takes the rows that come next, so a run
    that was interrupted is not repeated bit for bit.

    Parameters
    ----------
    loader : iterable or callable
        Gives batches: mappings of arrays ``(rows, ...)``, or tuples of them; NumPy arrays, torch
        tensors or whatever ``numpy.asarray`` takes. A ``torch.utils.data.DataLoader`` is one. A
        callable returns a new iterator each epoch.
    n_rows : int
        Rows of an epoch; with ``nan="drop"``, those without NaN. The length of a loader is a number
        of batches.
    names : sequence of str, optional
        Names of a tuple's parts, or of the parts of a mapping that are taken.

    Raises
    ------
    TypeError
        If it gives no batches.
    ValueError
        If ``n_rows`` is not positive.
    DataError
        If the first batch is not what a batch is.

    Examples
    --------
    >>> def batches():
    ...     for start in range(0, 6, 2):
    ...         yield np.arange(start, start + 2.0), np.ones(2, int)
    >>> LoaderSource(batches, n_rows=6, names=("x", "y")).fields["x"]
    Field(shape=(), dtype=dtype('float64'))
    """

    random_access = False

    def __init__(
        self,
        loader: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        n_rows: int,
        names: Sequence[str] | None = None,
    ) -> None:
        if isinstance(n_rows, bool) or not isinstance(n_rows, int | np.integer) or n_rows < 1:
            raise ValueError(
                f"LoaderSource(n_rows={n_rows!r}): must be the rows of an epoch, a positive integer."
            )
        if not (callable(loader) or hasattr(loader, "__iter__")) or isinstance(loader, type):
            raise TypeError(
                f"{loader!r} gives no batches; take an iterable of them, or a function that returns one."
            )
        self._loader = loader
        self._names = None if names is None else tuple(names)
        self.origin = f"loader {getattr(loader, '__name__', type(loader).__name__)}"
        self.n_rows = int(n_rows)
        self.fields = {}
        self._once = hasattr(loader, "__iter__") and iter(loader) is loader
        self._live: Iterator[Any] | None = self._iterate()
        self._waiting: deque[Arrays] = deque()
        first = self._pull()
        if first is None:
            raise DataError(f"{self.origin} gives no batch at all.")
        self._waiting.append(first)
        self.chunk_rows = max(1, len(next(iter(first.values()))))
        self._seen = 0

    def take(self, rows: slice | np.ndarray) -> Arrays:
        raise DataError(
            f"{self.origin} gives its rows in its own order; they cannot be taken by number."
        )

    def endless(self, clean: Callable[[Arrays, int], Arrays]) -> Iterator[tuple[Arrays, bool]]:
        """Batches epoch after epoch, each with whether it ends one; goes on where the last call
        stopped.

        Parameters
        ----------
        clean : callable
            Takes a batch and the number in its epoch of its first row; returns the rows to keep.

        Raises
        ------
        DataError
            If an epoch has more or fewer rows than ``n_rows``, or the iterable cannot be started
            anew.
        """
        try:
            while True:
                batch = self._waiting.popleft() if self._waiting else self._pull()
                if batch is None:
                    self._end_epoch()
                    continue
                kept = clean(batch, self._seen)
                self._seen += _length(kept)
                if self._seen > self.n_rows:
                    raise DataError(
                        f"{self.origin} goes on after n_rows={self.n_rows} rows. Give the number of rows of an epoch "
                        "(not of batches), and let the iterable end with the epoch."
                    )
                yield kept, self._seen == self.n_rows
                del batch, kept  # before the next is made: one is in memory, not two
        except GeneratorExit:
            raise
        except (
            BaseException
        ):  # a generator that has raised is finished: the next attempt begins a new epoch
            self._live, self._seen = None, 0
            self._waiting.clear()
            raise

    def once(self) -> Iterator[Arrays]:
        """The batches of one epoch, by an iterator of its own."""
        if self._once:
            raise DataError(
                f"{self.origin} can be read only once; give a function that returns a new iterator."
            )
        seen = 0
        for given in self._iterate():
            batch = self._batch(given)
            seen += _length(batch)
            yield batch
        if seen != self.n_rows:
            raise DataError(
                f"{self.origin} ended after {seen} rows; n_rows={self.n_rows} were promised."
            )

    def peek(self, rows: int) -> Arrays:
        """The first rows to come, which are still to come afterwards."""
        while sum(map(_length, self._waiting)) < rows:
            batch = self._pull()
            if batch is None:
                raise DataError(
                    f"{self.origin} ended before row {rows}; n_rows={self.n_rows} were promised."
                )
            self._waiting.append({name: values.copy() for name, values in batch.items()})
        return {
            name: np.concatenate([batch[name] for batch in self._waiting])[:rows]
            for name in self.fields
        }

    def _iterate(self) -> Iterator[Any]:
        return iter(self._loader if hasattr(self._loader, "__iter__") else self._loader())

    def _end_epoch(self) -> None:
        if self._seen != self.n_rows:
            raise DataError(
                f"{self.origin} ended after {self._seen} rows; n_rows={self.n_rows} were promised. Give the number of "
                "rows of an epoch (a data loader with drop_last=True leaves some out)."
            )
        if self._once:
            raise DataError(
                f"{self.origin} ended after {self._seen} rows, one epoch, and cannot be started anew. Give a function "
                "that returns a new iterator, in place of the iterator."
            )
        self._live, self._seen = self._iterate(), 0

    def _pull(self) -> Arrays | None:
        if self._live is None:
            if self._once:
                raise DataError(
                    f"{self.origin} has failed and cannot be started anew; give a function returning one."
                )
            self._live = self._iterate()
        for given in self._live:
            return self._batch(given)
        return None

    def _batch(self, given: Any) -> Arrays:
        batch = {name: self._array(name, value) for name, value in self._named(given).items()}
        if not self.fields:
            self.fields = {
                name: Field(value.shape[1:], check_dtype(value.dtype, name, self.origin))
                for name, value in batch.items()
            }
        if set(batch) != set(self.fields):
            raise DataError(
                f"{self.origin}: a batch has the keys {sorted(batch)}; the first had {sorted(self.fields)}."
            )
        for name, field in self.fields.items():
            value = batch[name]
            if value.shape[1:] != field.shape:
                raise DataError(
                    f"{self.origin}: rows of {name!r} have shape {value.shape[1:]} in a batch; in the first they had "
                    f"{field.shape}."
                )
            if value.dtype.kind != field.dtype.kind:
                raise DataError(
                    f"{self.origin}: {name!r} has dtype {value.dtype} in a batch; in the first it had {field.dtype}."
                )
        lengths = {name: len(value) for name, value in batch.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{self.origin}: the parts of a batch differ in their rows: {lengths}.")
        return {
            name: batch[name].astype(field.dtype, copy=False) for name, field in self.fields.items()
        }

    def _named(self, given: Any) -> dict[str, Any]:
        if isinstance(given, Mapping):
            wanted = tuple(given) if self._names is None else self._names
            missing = [name for name in wanted if name not in given]
            if missing:
                raise DataError(f"{self.origin}: a batch lacks {missing}; it has {sorted(given)}.")
            return {name: given[name] for name in wanted}
        parts = tuple(given) if isinstance(given, tuple | list) else (given,)
        if self._names is None:
            raise DataError(
                f"{self.origin}: a batch is a {type(given).__name__} of {len(parts)}; say what its parts are called: "
                "LoaderSource(..., names=('x', 'y'))."
            )
        if len(parts) != len(self._names):
            raise DataError(
                f"{self.origin}: a batch has {len(parts)} parts; names= has {self._names}."
            )
        return dict(zip(self._names, parts, strict=True))

    def _array(self, name: str, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{self.origin}: {name!r} of a batch is no array ({error}); move it to the CPU."
            ) from error
        if array.ndim == 0:
            raise DataError(
                f"{self.origin}: {name!r} of a batch is a single value; its first dimension must be rows."
            )
        return array


def _length(batch: Arrays) -> int:
    return len(next(iter(batch.values())))
