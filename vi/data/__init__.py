"""Rows from anywhere, streamed in shuffled batches with bounded memory.

The words, from small to large; each is a set of rows, arrays by the names of the fields:

======  =====================================  ================================================
row     ``field.shape``                        one observation
chunk   ``(<= chunk_rows, *field.shape)``      consecutive rows of a source, read at once
window  ``(<= window_rows, *field.shape)``     rows that are in memory to be shuffled
batch   ``(batch_size, *field.shape)``         the rows of one step
block   ``(count, batch_size, *field.shape)``  consecutive batches, handed over together
======  =====================================  ================================================

A loader has no chunks but batches of its own, of which pieces fill a window.
"""

from vi.data.minibatches.batch_tensors import MinibatchVariable
from vi.data.minibatches.minibatch import Minibatch
from vi.data.sources.arrays import ArraySource
from vi.data.sources.base import DataError, Field, Source
from vi.data.sources.datasets import DatasetSource
from vi.data.sources.frames import FrameSource
from vi.data.sources.loaders import LoaderSource
from vi.data.sources.parquet import ParquetSource
from vi.data.sources.registry import register_source
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
    "register_source",
    "source_from",
]
