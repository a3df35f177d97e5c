"""The losses of a run that goes on, in a file beside its checkpoints that only grows."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["TYPE", "checksum", "read_trace", "trace_path"]

TYPE = np.dtype("<f8")
"""How a loss is written: rows of one number for each run."""


def checksum(rows: np.ndarray, before: int = 0) -> int:
    """That of rows which follow others."""
    return zlib.crc32(np.ascontiguousarray(rows, TYPE).tobytes(), before)


def trace_path(path: Path, table: dict[str, Any]) -> Path:
    """The file of losses that a checkpoint names; it lies in the same folder.

    Raises
    ------
    ValueError
        If the name is more than a name.
    """
    name = table["file"]
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"its losses are said to be in {name!r}, which is no name of a file")
    return path.resolve().parent / name


def read_trace(path: Path, table: dict[str, Any]) -> np.ndarray:
    """The losses at the time of a checkpoint, ``(steps, runs)``; later ones are left.

    Parameters
    ----------
    path : Path
        The checkpoint.
    table : dict
        What it says of its losses: ``file``, ``steps``, ``runs``, ``checksum``.

    Raises
    ------
    ValueError
        If the file is not there, or does not hold these losses.
    """
    file, steps, runs = trace_path(path, table), int(table["steps"]), int(table["runs"])
    if steps < 0 or runs < 1:
        raise ValueError(f"its losses are said to be of {steps} steps and {runs} runs")
    if not steps:
        return np.empty((0, runs))
    if not file.is_file():
        raise ValueError(f"its losses are in {file.name!r} beside it, and there is no such file")
    wanted = steps * runs * TYPE.itemsize
    if file.stat().st_size < wanted:
        raise ValueError(f"{file.name!r} beside it is shorter than the losses of {steps:,} steps")
    with file.open("rb") as stream:
        rows = np.frombuffer(stream.read(wanted), TYPE).reshape(steps, runs)
    if checksum(rows) != table["checksum"]:
        raise ValueError(f"{file.name!r} beside it holds other losses")
    return rows.astype(np.float64)
