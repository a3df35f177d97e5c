"""Rows from anywhere, streamed in shuffled batches with bounded memory."""

from vi.data.arrays import ArraySource
from vi.data.base import DataError, Field, Source
from vi.data.batch_tensors import MinibatchVariable
from vi.data.datasets import DatasetSource
from vi.data.feed import Block
from vi.data.frames import FrameSource
from vi.data.given import batches_of, head, source_from
from vi.data.loaders import LoaderSource
from vi.data.minibatch import Minibatch
from vi.data.parquet import ParquetSource
from vi.data.stream import Stream

__all__ = [
    "ArraySource",
    "Block",
    "DataError",
    "DatasetSource",
    "Field",
    "FrameSource",
    "LoaderSource",
    "Minibatch",
    "MinibatchVariable",
    "ParquetSource",
    "Source",
    "Stream",
    "batches_of",
    "head",
    "source_from",
]
