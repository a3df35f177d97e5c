"""The thread that makes blocks, and the queue between it and the stream."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vi.data.sources.base import Arrays
from vi.data.streams.chunks import Chunks
from vi.data.streams.readers import Reader

__all__ = ["Block", "Feed", "Place", "end", "read"]

type Place = Callable[[Arrays], Any]


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive batches.

    Parameters
    ----------
    first : int
        The step of the first batch.
    count : int
        Batches.
    arrays : object
        What ``place`` made of the arrays ``(count, batch_size, *shape)`` by name.
    """

    first: int
    count: int
    arrays: Any


class Feed:
    """Takes blocks from the thread and gives them to the stream, which it does not know.

    Parameters
    ----------
    limit : int
        Blocks that may wait, with the one that is being made.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._blocks: deque[Block] = deque()
        self._error: BaseException | None = None
        self._stopped = False

    def wanted(self) -> bool:
        """Wait until a block may be made; False when no more are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._blocks) < self._limit)
            return not self._stopped

    def put(self, block: Block) -> None:
        """Add a block."""
        with self._changed:
            if not self._stopped:
                self._blocks.append(block)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Keep an exception for who takes the block that could not be made."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def stop(self) -> None:
        """End: no more blocks are wanted."""
        with self._changed:
            self._stopped = True
            self._blocks.clear()
            self._changed.notify_all()

    def get(self) -> Block:
        """The next block; raises what the thread raised once the blocks before are taken."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or bool(self._blocks) or self._error is not None
            )
            if self._blocks:
                self._changed.notify_all()
                return self._blocks.popleft()
            if self._error is not None:
                raise self._error
            raise RuntimeError("The stream was closed while a block was waited for.")


def read(
    feed: Feed,
    chunks: Chunks,
    count: int,
    batch_size: int,
    seed: tuple[int, int],
    number: int,
    place: Place,
) -> None:
    """Make blocks of ``count`` batches from block ``number`` on, as long as they are wanted:
    what the thread runs.
    """
    try:
        reader = chunks.reader(seed, number * count * batch_size)
        while feed.wanted():
            feed.put(_block(reader, chunks, count, batch_size, number, place))
            number += 1
    except BaseException as error:  # noqa: BLE001 (raised again where the block is asked for)
        feed.fail(error)


def end(feed: Feed, thread: threading.Thread) -> None:
    """Stop the thread and wait for it a while: one that waits for its source cannot be
    interrupted.
    """
    feed.stop()
    if thread is not threading.current_thread():  # which may be where the garbage is collected
        thread.join(timeout=5)


def _block(
    reader: Reader, chunks: Chunks, count: int, batch_size: int, number: int, place: Place
) -> Block:
    rows = count * batch_size
    arrays = {
        name: np.empty((rows, *field.shape), field.dtype)
        for name, field in chunks.source.fields.items()
    }
    reader.fill(arrays)
    return Block(
        number * count,
        count,
        place({k: v.reshape(count, batch_size, *v.shape[1:]) for k, v in arrays.items()}),
    )
