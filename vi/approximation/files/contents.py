"""What a file holds: its text first, then the arrays, each of the size that the file can have."""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vi.approximation.files.tables import FORMAT
from vi.approximation.files.traces import read_trace
from vi.foundation.version import __version__

__all__ = ["contents", "refusing"]

NEEDED = {"format", "version", "family", "layout", "status"}
"""What every file says of itself; one without is no file of ours."""

KINDS: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "version": (str,),
    "family": (dict,),
    "layout": (list,),
    "status": (dict,),
    "dtype": (str,),
    "seed": (int,),
    "backend": (str, type(None)),
    "algorithm": (dict, type(None)),
    "score": (bool,),
    "include_transformed": (bool,),
}
"""What is read of every file of this format, and of which types."""

OPTIONAL: dict[str, tuple[type, ...]] = {
    "checkpoint": (dict,),
    "compared_data": (dict,),
    "coords": (dict,),
    "diagnosis": (dict, type(None)),
    "fingerprint": (dict,),
    "encoders": (bool, type(None)),
    "judged_data": (dict,),
    "losses": (int,),
    "losses_before": (int,),
    "missing": (str, type(None)),
    "notes": (dict,),
    "log_p_of_mean": (float,),
    "resample": (str, type(None)),
    "slopes": (str,),
    "stages": (list,),
    "warm_start": (bool,),
}


def contents(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the JSON text of a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is another file, a damaged one, or of another format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    with refusing(path), zipfile.ZipFile(path) as file:
        members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
        if "meta" not in members:
            raise ValueError("it has no member meta")
        _check_sizes(members, path.stat().st_size)
        meta = json.loads(str(_array(file, members["meta"])))
        _check_meta(meta)
    if meta["format"] > FORMAT:
        raise ValueError(
            f"{str(path)!r} was written by pymc-vi {meta['version']}; this is {__version__}. "
            "Update."
        )
    if meta["format"] < FORMAT:
        raise _of_development(path)
    with refusing(path), zipfile.ZipFile(path) as file:
        _check_types(meta, KINDS | {key: kind for key, kind in OPTIONAL.items() if key in meta})
        arrays = {name: _array(file, member) for name, member in members.items() if name != "meta"}
        if "checkpoint" in meta:
            table = meta["checkpoint"]["trace"]
            arrays["traces"] = read_trace(path, table)
            arrays["history"] = arrays["traces"][: meta["losses"], int(table["leader"])]
        _check_trace(arrays, meta)
    if _has_old_slopes(arrays, meta):
        raise _of_development(path)
    return arrays, meta


def _of_development(path: Path) -> ValueError:
    return ValueError(f"{str(path)!r} was written by a development version of pymc-vi; fit again.")


def _has_old_slopes(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> bool:
    """Whether slopes may be the other way round, as they were: square ones would pass."""
    if "slopes" in meta or '"structured"' not in json.dumps(meta["family"]):
        return False
    slopes = [value.shape for name, value in arrays.items() if name.endswith("cross")]
    return any(len(shape) == 2 and shape[0] >= shape[1] for shape in slopes)


@contextlib.contextmanager
def refusing(path: Path, *kept: type[Exception]) -> Iterator[None]:
    """Turn whatever a damaged or edited file raises into one refusal, that names the file.

    Parameters
    ----------
    path : Path
        The file.
    *kept : exception types
        Those that say something else, and pass.

    Raises
    ------
    ValueError
        In the place of every other exception.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except kept:
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        what = said[0][:300] if said else ""
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise ValueError(
            f"{str(path)!r} is not a file written by Approximation.save, or it is damaged "
            f"({kind}{what}). Save the approximation again, or fit again."
        ) from error


def _check_sizes(members: dict[str, zipfile.ZipInfo], size: int) -> None:
    """Refuse members that promise more bytes than the file has: none is compressed."""
    for name, member in members.items():
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
            raise ValueError(
                f"the member {name!r} promises {member.file_size:,} bytes, the file has {size:,}; "
                "save compresses nothing"
            )


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """An array, if its header promises as many bytes as there are."""
    name = member.filename.removesuffix(".npy")
    with file.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(stream)
        promised, there = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
    if dtype.hasobject or promised != there:
        raise ValueError(
            f"the array {name!r} is said to be {dtype} {shape}, {promised:,} bytes, and has "
            f"{there:,}"
        )
    with file.open(member) as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _check_meta(meta: Any) -> None:
    if not isinstance(meta, dict):
        raise ValueError(f"its text is a {type(meta).__name__}, not a table")  # noqa: TRY004
    missing = sorted(NEEDED - meta.keys())
    if missing:
        raise ValueError(f"its text says nothing of {', '.join(missing)}")
    _check_types(meta, {"format": KINDS["format"], "version": KINDS["version"]})


def _check_types(meta: dict[str, Any], kinds: dict[str, tuple[type, ...]]) -> None:
    for name, types in kinds.items():
        if name not in meta:
            raise ValueError(f"its text says nothing of {name}")
        value = meta[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"its text has {name}={value!r:.100}")


def _check_trace(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """One loss a step, where they are kept; the text has their number."""
    history, step = arrays["history"], int(arrays.get("step", np.iinfo(np.int64).max))
    if history.ndim != 1 or history.dtype.kind != "f":
        raise ValueError(f"its losses are {history.dtype} {history.shape}, not a vector of numbers")
    wanted = meta.get("losses", min(step, len(history)))
    if len(history) != wanted or len(history) > step:
        raise ValueError(
            f"it has {len(history)} losses, and says that there are {min(wanted, step)}"
        )
    before = meta.get("losses_before", 0)
    if not 0 <= before <= len(history):
        raise ValueError(f"it has {len(history)} losses, and says that {before} are of other steps")
