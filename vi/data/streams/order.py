"""The order of rows, a function of the seed: chunks permuted in an epoch, rows in a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Order", "permuted"]

CHUNKS = 2**32 - 1
"""The number in place of a window's under which the chunks are permuted: one no window has, for
both are half of the same 64-bit word of the key."""


@dataclass(frozen=True)
class Order:
    """Epoch after epoch, the chunks in a new order, cut into windows of ``window`` chunks each.

    Parameters
    ----------
    lengths : numpy.ndarray
        Rows of each chunk, shape ``(chunks,)``.
    window : int
        Chunks of a window.
    seed : tuple of int
        Two integers from 0 to 2**32 - 1; None keeps the chunks in order.
    """

    lengths: np.ndarray
    window: int
    seed: tuple[int, int] | None

    def chunks(self, epoch: int) -> np.ndarray:
        """The chunks in the order of an epoch."""
        n = len(self.lengths)
        return (
            np.arange(n)
            if self.seed is None
            else _generator(self.seed, epoch, CHUNKS).permutation(n)
        )

    def find(self, row: int) -> tuple[int, int, int]:
        """Epoch, window and rows to skip there, of a row numbered in the order of all epochs."""
        epoch, rest = divmod(row, int(self.lengths.sum()))
        ends = np.cumsum(self.lengths[self.chunks(epoch)])
        window = int(np.searchsorted(ends, rest, side="right")) // self.window
        return epoch, window, rest - (int(ends[window * self.window - 1]) if window else 0)

    def windows(self, epoch: int, window: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """Epoch, window and its chunks, from a window on and without end."""
        while True:
            chunks = self.chunks(epoch)
            for k in range(window, -(-len(chunks) // self.window)):
                yield epoch, k, chunks[k * self.window : (k + 1) * self.window]
            epoch, window = epoch + 1, 0


def permuted(seed: tuple[int, int], epoch: int, window: int, places: np.ndarray) -> np.ndarray:
    """The places of a window's rows, shape ``(rows of the window,)``, in its order."""
    return _generator(seed, epoch, window).permutation(places)


def _generator(seed: tuple[int, int], epoch: int, window: int) -> np.random.Generator:
    """Random numbers of a window alone: with Philox a key is enough, no state is advanced to it."""
    key = np.array([seed[0] << 32 | seed[1], epoch << 32 | window], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
