"""Rows from anywhere, streamed in shuffled batches with bounded memory."""

from vi.data.minibatches.batch_tensors import MinibatchVariable
from vi.data.minibatches.minibatch import Minibatch
from vi.data.sources.arrays import ArraySource
from vi.data.sources.base import DataError, Field, Source
from vi.data.sources.datasets import DatasetSource
from vi.data.sources.frames import FrameSource
from vi.data.sources.loaders import LoaderSource
from vi.data.sources.parquet import ParquetSource
from vi.data.sources.source_from import batches_of, head, source_from
from vi.data.streams.reader_thread import Block
from vi.data.streams.stream import Stream

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
