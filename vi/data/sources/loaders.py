"""Rows that come from elsewhere batch by batch: data loaders, generators, functions of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays, DataError, Field, Source, check_dtype
from vi.data.sources.registry import register_source
from vi.foundation.lengths import refuse_lengths
from vi.foundation.numbers import check_count

__all__ = ["LoaderSource"]


@register_source
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
    accepts = "a loader of batches, an iterable of them, a function that returns one (with n_rows=)"

    def __init__(
        self,
        loader: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        n_rows: int,
        names: Sequence[str] | None = None,
    ) -> None:
        check_count("n_rows", n_rows)
        if not _gives_batches(loader):
            raise TypeError(
                f"loader={loader!r} gives no batches; take an iterable of them, or a function that "
                "returns one."
            )
        self._loader = loader
        self._names = None if names is None else _names(names)
        self.origin = f"loader {getattr(loader, '__name__', type(loader).__name__)}"
        self.n_rows = int(n_rows)
        self.fields = {}
        self._single_use = hasattr(loader, "__iter__") and iter(loader) is loader
        self._live: Iterator[Any] | None = self._iterate()
        self._waiting: deque[Arrays] = deque()
        first = self._pull()
        if first is None:
            raise DataError(f"{self.origin} gives no batch at all.")
        self._waiting.append(first)
        self.chunk_rows = max(1, len(next(iter(first.values()))))
        self._epoch_rows = 0  # rows of the epoch that have been given

    @classmethod
    def reads(cls, data: Any) -> bool:
        # what NumPy or a mapping of names makes rows of is no loader, though it can be iterated
        is_rows = isinstance(data, Mapping | str | Path) or hasattr(data, "__array__")
        return _gives_batches(data) and not is_rows

    @classmethod
    def open(cls, data: Any, n_rows: int | None) -> Source:
        if n_rows is None:
            raise TypeError(
                f"n_rows= is needed with {type(data).__name__}: the rows of an epoch, by which the "
                "likelihood is scaled. The length of a loader is a number of batches."
            )
        return cls(data, n_rows=n_rows)

    def take(self, rows: slice | np.ndarray) -> Arrays:
        raise DataError(
            f"{self.origin} gives its rows in its own order; they cannot be taken by number."
        )

    def endless(self, clean: Callable[[Arrays, int], Arrays]) -> Iterator[tuple[Arrays, bool]]:
        """Batches of epoch after epoch, each with whether it ends one; goes on where it stopped.

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
                rows = clean(batch, self._epoch_rows)
                self._epoch_rows += _length(rows)
                if self._epoch_rows > self.n_rows:
                    raise DataError(
                        f"{self.origin} goes on after n_rows={self.n_rows} rows. Give the number "
                        "of rows of an epoch (not of batches), and let the iterable end with the "
                        "epoch."
                    )
                yield rows, self._epoch_rows == self.n_rows
                del batch, rows  # before the next is made: one is in memory, not two
        except GeneratorExit:
            raise
        except BaseException:
            # a generator that has raised is finished: the next attempt begins a new epoch
            self._live, self._epoch_rows = None, 0
            self._waiting.clear()
            raise

    def once(self, clean: Callable[[Arrays, int], Arrays] | None = None) -> Iterator[Arrays]:
        """The batches of one epoch, by an iterator of its own; ``clean`` as in :meth:`endless`."""
        if self._single_use:
            raise DataError(
                f"{self.origin} can be read only once; give a function that returns a new iterator."
            )
        n = 0
        for parts in self._iterate():
            batch = self._batch(parts)
            batch = batch if clean is None else clean(batch, n)
            n += _length(batch)
            yield batch
        if n != self.n_rows:
            raise DataError(
                f"{self.origin} ended after {n} rows; n_rows={self.n_rows} were promised."
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
        n = self._epoch_rows
        if n != self.n_rows:
            raise DataError(
                f"{self.origin} ended after {n} rows; n_rows={self.n_rows} were promised. Give the "
                "number of rows of an epoch (a data loader with drop_last=True leaves some out)."
            )
        if self._single_use:
            raise DataError(
                f"{self.origin} ended after {n} rows, one epoch, and cannot be started anew. Give "
                "a function that returns a new iterator, in place of the iterator."
            )
        self._live, self._epoch_rows = self._iterate(), 0

    def _pull(self) -> Arrays | None:
        if self._live is None:
            if self._single_use:
                raise DataError(
                    f"{self.origin} has failed and cannot be started anew; give a function "
                    "returning one."
                )
            self._live = self._iterate()
        for parts in self._live:
            return self._batch(parts)
        return None

    def _batch(self, parts: Any) -> Arrays:
        """A batch, arrays ``(n, *field.shape)``, of what the loader gave; the first sets fields."""
        batch = {name: self._array(name, value) for name, value in self._named(parts).items()}
        if not self.fields:
            self.fields = {
                name: Field(value.shape[1:], check_dtype(value.dtype, name, self.origin))
                for name, value in batch.items()
            }
        if set(batch) != set(self.fields):
            raise DataError(
                f"{self.origin}: a batch has the keys {sorted(batch)}; the first had "
                f"{sorted(self.fields)}."
            )
        for name, field in self.fields.items():
            value = batch[name]
            if value.shape[1:] != field.shape:
                raise DataError(
                    f"{self.origin}: rows of {name!r} have shape {value.shape[1:]} in a batch; in "
                    f"the first they had {field.shape}."
                )
            if value.dtype.kind != field.dtype.kind:
                raise DataError(
                    f"{self.origin}: {name!r} has dtype {value.dtype} in a batch; in the first it "
                    f"had {field.dtype}."
                )
        lengths = {name: len(value) for name, value in batch.items()}
        refuse_lengths(f"{self.origin}: the parts of a batch", lengths, error=DataError)
        return {
            name: batch[name].astype(field.dtype, copy=False) for name, field in self.fields.items()
        }

    def _named(self, parts: Any) -> dict[str, Any]:
        """The parts of a batch by name."""
        if isinstance(parts, Mapping):
            wanted = tuple(parts) if self._names is None else self._names
            missing = [name for name in wanted if name not in parts]
            if missing:
                raise DataError(
                    f"{self.origin}: a batch lacks {missing} of names; it has {sorted(parts)}."
                )
            return {name: parts[name] for name in wanted}
        values = tuple(parts) if isinstance(parts, tuple | list) else (parts,)
        if self._names is None:
            raise DataError(
                f"{self.origin}: a batch is a {type(parts).__name__} of {len(values)}; say what "
                "its parts are called: LoaderSource(..., names=('x', 'y'))."
            )
        if len(values) != len(self._names):
            raise DataError(
                f"{self.origin}: a batch has {len(values)} parts; names= has {self._names}."
            )
        return dict(zip(self._names, values, strict=True))

    def _array(self, name: str, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{self.origin}: {name!r} of a batch is no array ({error}); move it to the CPU."
            ) from error
        if array.ndim == 0:
            raise DataError(
                f"{self.origin}: {name!r} of a batch is a single value; its first dimension must "
                "be rows."
            )
        return array


def _gives_batches(loader: Any) -> bool:
    """Whether it can be iterated, or called for what can; a class is not meant."""
    return not isinstance(loader, type) and (callable(loader) or hasattr(loader, "__iter__"))


def _names(names: Any) -> tuple[str, ...]:
    """The names of the parts of a batch."""
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names={names!r}: give the names of the parts of a batch, ('x', 'y').")
    return tuple(names)


def _length(batch: Arrays) -> int:
    return len(next(iter(batch.values())))
