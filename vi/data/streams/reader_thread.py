"""The thread that makes blocks, and the queue between it and the stream."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vi.data.sources.base import Arrays
from vi.data.streams.chunks import Chunks
from vi.data.streams.readers import Reader, empty

__all__ = ["Block", "Feed", "Place", "end", "read"]

type Place = Callable[[Arrays], Any]
"""What a block becomes in the thread: from arrays ``(count, batch_size, *field.shape)``."""

JOIN_SECONDS = 5
"""How long an end waits for the thread: longer than a chunk takes, not for ever."""


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
        What ``place`` made of the arrays ``(count, batch_size, *field.shape)`` by name.
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
    """What the thread runs: make blocks as long as they are wanted.

    Parameters
    ----------
    feed : Feed
        Takes the blocks, or the exception that ended them.
    chunks : Chunks
        What is read.
    count, batch_size : int
        Batches of a block, rows of a batch.
    seed : tuple of int
        Seed of the order.
    number : int
        The first block, counted from 0.
    place : callable
        What a block becomes.
    """
    try:
        reader = chunks.reader(seed, number * count * batch_size)
        while feed.wanted():
            feed.put(_block(reader, chunks, count, batch_size, number, place))
            number += 1
    except BaseException as error:  # noqa: BLE001 (raised again where the block is asked for)
        feed.fail(error)


def end(feed: Feed, thread: threading.Thread) -> None:
    """Stop the thread and wait for it a while: one that waits for its source cannot be stopped."""
    feed.stop()
    if thread is not threading.current_thread():  # which may be where the garbage is collected
        thread.join(timeout=JOIN_SECONDS)


def _block(
    reader: Reader, chunks: Chunks, count: int, batch_size: int, number: int, place: Place
) -> Block:
    arrays = empty(count * batch_size, chunks.source.fields)
    reader.fill(arrays)
    return Block(
        number * count,
        count,
        place({k: v.reshape(count, batch_size, *v.shape[1:]) for k, v in arrays.items()}),
    )
