"""Rows: which ones a step takes, and where they come from."""

from vi.data.minibatch import Minibatch

__all__ = ["Minibatch"]
