"""A file that is written whole or not at all, and is there after a crash."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = ["on_disk", "whole_path", "write_archive"]


def whole_path(path: Path) -> Path:
    """The file behind a path; refuse a folder that does not exist."""
    path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    return path


def write_archive(
    path: Path,
    arrays: dict[str, np.ndarray],
    *,
    temporary: Path | None = None,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Write arrays to a file: beside it first, to the disk, and then under its name.

    Whoever reads the path meanwhile, or after a crash, finds the old file or the new one. A file
    that was there keeps its rights.

    Parameters
    ----------
    path : Path
        The file.
    arrays : dict of arrays
        What :func:`numpy.savez` writes.
    temporary : Path, optional
        Where it is written first, in the same folder; a new name by default.
    before : callable
        Called when the new file is on the disk and the old one still has the name.
    """
    path = whole_path(path)
    if temporary is None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")
        temporary = Path(name)
    else:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            on_disk(file)
        temporary.chmod(_rights(path))
        before()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _folder_on_disk(path.parent)


def on_disk(file: BinaryIO) -> None:
    """Wait until what was written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _rights(path: Path) -> int:
    """The rights of a file, or those that a new one has."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _folder_on_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some network file systems cannot
        pass
    finally:
        os.close(handle)
