"""Batches of a source in shuffled order, read ahead by a thread."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from vi.data.missing import check_nan_policy
from vi.data.sources.base import Arrays, Source
from vi.data.streams.chunks import Chunks
from vi.data.streams.reader_thread import Block, Feed, Place, end, read
from vi.data.streams.readers import in_blocks
from vi.foundation.arguments import function
from vi.foundation.numbers import flag, whole

__all__ = ["Stream"]

BLOCK_BYTES, BLOCK_BATCHES = 2**23, 256
"""A block by default: 8 MiB, so that handing one over costs nothing beside its steps and three of
them little memory; of tiny rows at most so many batches, or the first step would wait for them."""


def _identity(arrays: Arrays) -> Any:
    return arrays


def _is_word(value: Any) -> bool:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and 0 <= value < 2**32


class Stream:
    r"""Batches of a source in shuffled order, read ahead by a thread.

    An epoch permutes the chunks of the source; a window of consecutive chunks is read and its rows
    are permuted; the windows are joined, epoch after epoch, and cut into batches of exactly
    ``batch_size`` rows. So every row comes once an epoch, and the batch of a step is a function of
    seed and step, wherever reading began: going on costs the reading of one window. Rows that lie
    together in the source come within one window: where the data are ordered and a window holds few
    chunks, its batches are more alike than a random sample; see the page "Data that do not fit in
    memory". A :class:`LoaderSource` is read as it comes, through a buffer of ``buffer_rows`` rows
    if that is given.

    In memory are at most

    .. math:: \text{buffer\_rows} + c \cdot \text{chunk\_rows}
              + (\text{read\_ahead} + 1) \cdot \text{block\_batches} \cdot \text{batch\_size}

    rows (``peak_rows``), however many there are in all, and what the source needs to decode a
    chunk. ``c`` is 2, for the chunks that are being read; without shuffling up to 5; in place of a
    chunk, a loader's batch counts.

    Parameters
    ----------
    source : Source
        The rows. It stays open when the stream is closed.
    batch_size : int
        Rows of a batch.
    shuffle : bool
        Whether rows are permuted; otherwise they come in the order of the source.
    buffer_rows : int, optional
        Rows of the shuffle buffer. If it holds all rows, they stay in memory and the shuffle is
        perfect; otherwise half of it is the window in use, half the next one, which is read
        meanwhile. By default 128 MiB or about two million rows, and at least two chunks.
    read_ahead : int
        Blocks that are made while one is in use.
    block_batches : int, optional
        Batches of a block; by default about 8 MiB, and at most 256.
    nan : {"raise", "drop", "allow"}
        What is done about rows with NaN: an error, leaving them out (which counts them first, by
        reading all rows), or nothing.

    Raises
    ------
    ValueError
        If a number is not positive, a batch is longer than the data, or ``buffer_rows`` less than
        two chunks.
    DataError
        If ``nan="drop"`` leaves no row, or counting fails.

    Examples
    --------
    >>> import numpy as np
    >>> from vi.data import ArraySource
    >>> with Stream(ArraySource({"x": np.arange(6)}), batch_size=2, block_batches=3) as stream:
    ...     stream.start(seed=(1, 2), step=0)
    ...     block = stream.block(0)
    >>> block.arrays["x"].shape, sorted(block.arrays["x"].ravel().tolist())
    ((3, 2), [0, 1, 2, 3, 4, 5])
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        *,
        shuffle: bool = True,
        buffer_rows: int | None = None,
        read_ahead: int = 2,
        block_batches: int | None = None,
        nan: str = "raise",
    ) -> None:
        if not isinstance(source, Source):
            raise TypeError(
                f"Stream takes a source, got {type(source).__name__}; make one: "
                "vi.data.source_from(...)."
            )
        self.batch_size = whole("Stream(batch_size", batch_size, 1)
        self.read_ahead = whole("Stream(read_ahead", read_ahead, 1)
        for name, value in (("buffer_rows", buffer_rows), ("block_batches", block_batches)):
            if value is not None:
                whole(f"Stream({name}", value, 1)
        check_nan_policy("Stream(nan", nan)
        flag("Stream(shuffle", shuffle)
        self._chunks = Chunks(source, shuffle=shuffle, buffer_rows=buffer_rows, nan=nan)
        self.n_rows = self._chunks.n_rows
        self.fields = dict(source.fields)
        if batch_size > self.n_rows:
            raise ValueError(f"Stream(batch_size={batch_size}): there are only {self.n_rows} rows.")
        fitting = BLOCK_BYTES // max(1, source.row_bytes * self.batch_size)
        self.block_batches = int(block_batches or max(1, min(BLOCK_BATCHES, fitting)))
        self._feed: Feed | None = None
        self._thread: threading.Thread | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._block: Block | None = None

    @property
    def source(self) -> Source:
        """Where the rows come from."""
        return self._chunks.source

    @property
    def order_key(self) -> tuple[int, int, bool, str]:
        """What the order of the rows depends on beside the seed and the source."""
        return self._chunks.order_key

    @property
    def peak_rows(self) -> int:
        """Rows that are in memory at most."""
        blocks = (self.read_ahead + 1) * self.block_batches * self.batch_size
        return self._chunks.held_rows + blocks

    def start(self, seed: tuple[int, int], step: int, place: Place = _identity) -> None:
        """Begin to read ahead from a step, in place of what was being read.

        Parameters
        ----------
        seed : tuple of int
            Two integers from 0 to 2**32 - 1.
        step : int
            The first step that is to come.
        place : callable
            Is given the arrays ``(count, batch_size, *field.shape)`` of a block, in the thread;
            ``Block.arrays`` is what it returns. The arrays are not used again.
        """
        words = seed if isinstance(seed, tuple | list | np.ndarray) else ()
        if len(words) != 2 or not all(_is_word(word) for word in words):
            raise ValueError(
                f"Stream.start(seed={seed!r}): must be two integers from 0 to 2**32 - 1."
            )
        first, second = (int(word) for word in words)
        step = whole("Stream.start(step", step, 0)
        function("Stream.start(place", place, "a function of the arrays of a block, by name")
        self.close()
        if self._thread is not None:
            # one that still waits for its source: two must not read a loader at once
            self._thread.join()
        feed = Feed(self.read_ahead)
        # nothing here may refer to the stream: it is collected, and the thread ends, when nobody
        # else does
        work = (
            self._chunks,
            self.block_batches,
            self.batch_size,
            (first, second),
            step // self.block_batches,
            place,
        )
        thread = threading.Thread(
            target=read, args=(feed, *work), name="vi.data.Stream", daemon=True
        )
        self._feed, self._thread = feed, thread
        self._finalizer = weakref.finalize(self, end, feed, thread)
        thread.start()

    def block(self, step: int) -> Block:
        """The block that holds a step; waits until it is read.

        Steps must not go back: blocks before it are dropped.

        Raises
        ------
        RuntimeError
            If the stream has not been started, or the step lies before the last block.
        DataError
            If the block cannot be read; and whatever else was raised while reading.
            :meth:`start` tries again.
        """
        step = whole("Stream.block(step", step, 0)
        if self._feed is None:
            raise RuntimeError("The stream is not being read: call start(seed, step) first.")
        if self._block is not None and step < self._block.first:
            raise RuntimeError(
                f"block({step}) goes back, before step {self._block.first}; call start(seed, "
                f"{step})."
            )
        while self._block is None or step >= self._block.first + self._block.count:
            self._block = None
            self._block = self._feed.get()
            if step < self._block.first:
                raise RuntimeError(
                    f"block({step}) goes back, before step {self._block.first}; call start first."
                )
        return self._block

    def once(self, rows: int) -> Iterator[Arrays]:
        """All rows once, in the order of the source; whatever :meth:`block` is giving meanwhile.

        Parameters
        ----------
        rows : int
            Rows of a block.

        Yields
        ------
        dict of str to numpy.ndarray
            Arrays ``(rows, *field.shape)``; those of the last block may be shorter.

        Raises
        ------
        DataError
            If rows cannot be read, or a loader not more than once.

        Examples
        --------
        >>> import numpy as np
        >>> from vi.data import ArraySource
        >>> stream = Stream(ArraySource({"x": np.arange(5)}), batch_size=2)
        >>> [block["x"].tolist() for block in stream.once(3)]
        [[0, 1, 2], [3, 4]]
        """
        rows = whole("Stream.once(rows", rows, 1)
        return in_blocks(self._chunks.once(), rows, self.fields)

    def some(self, rows: int, pieces: int, generator: np.random.Generator) -> Iterator[Arrays]:
        """Some of the rows: pieces of consecutive ones, from anywhere.

        A loader gives its first ones. Pieces are shorter at the end of the data and where
        ``nan="drop"`` leaves rows out.

        Parameters
        ----------
        rows, pieces : int
            Rows of a piece, and how many pieces at most.
        generator : numpy.random.Generator
            Which pieces.
        """
        return self._chunks.some(rows, pieces, generator)

    def close(self) -> None:
        """End the thread and let go of the blocks; :meth:`start` begins again."""
        if self._finalizer is not None:
            self._finalizer()
        self._feed = self._finalizer = self._block = None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
