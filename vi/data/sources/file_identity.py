"""Whether the files of a source are still those that were opened."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import NamedTuple

from vi.data.sources.base import DataError, Source

__all__ = ["check_files", "digest"]

logger = logging.getLogger("vi")

PARTS, PART_BYTES = 16, 4096
"""Parts of a file by which it is known again: some reads when it is opened, none afterwards."""


def check_files(source: Source) -> None:
    """Refuse rows of files that are no longer those which were opened.

    A file in the place of another, of the same size or not, has other rows, and an epoch would be
    made of both. It is looked at after reading, so that what was read came from the old one. One
    that was cut short and is back is known by what it holds.
    """
    before: dict[Path, _Identity] = source.__dict__.setdefault("_identities", {})
    for path in source.files:
        try:
            stat = path.stat()
            mark = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            known = before.get(path)
            if known is not None and known.mark == mark:
                continue
            now = _Identity(mark, stat.st_size, digest(path, stat.st_size))
        except OSError as error:
            raise DataError(f"{path} cannot be read any more ({error}).") from error
        if known is not None and known.digest == now.digest:
            logger.warning(
                "%s has been written to since it was opened; its length and %d parts of it are "
                "what they were, and reading goes on.",
                path,
                PARTS,
            )
        elif known is not None:
            shorter = stat.st_size < known.size
            raise DataError(
                f"{path} has been {'cut short' if shorter else 'replaced or written to'} since it "
                "was opened: its rows are not those that were read before. What was computed so "
                "far is kept; open the file anew for a new fit."
            )
        before[path] = now


class _Identity(NamedTuple):
    """What a file was when it was opened: where and when, how long, and what it held."""

    mark: tuple[int, ...]
    size: int
    digest: bytes


def digest(path: Path, size: int) -> bytes:
    """A hash of a file's length and of evenly spread parts of it, the two ends among them."""
    total = hashlib.blake2b(str(size).encode())
    with path.open("rb", buffering=0) as file:
        for part in range(PARTS):
            file.seek(max(0, size - PART_BYTES) * part // (PARTS - 1))
            total.update(file.read(PART_BYTES))
    return total.digest()
