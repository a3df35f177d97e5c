"""Compiled code in a folder, for the next process: JAX's cache around this library's calls."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

__all__ = ["VARIABLE", "cache_dir", "code_on_disk"]

VARIABLE = "VI_CACHE_DIR"
"""The environment variable that names the folder at the start of a process."""

WORTH_KEEPING = 0.05
"""Seconds of compilation from which code is written: to read it takes some hundredths."""


def cache_dir(path: str | os.PathLike[str] | None) -> None:
    """Keep what JAX compiles for fits in a folder, and take it from there in the next process.

    The first call of a fit is then spared XLA's part of it: of a model of some lines about a third.
    What it computes is the same, bit for bit. PyMC's, PyTensor's and JAX's own parts, up to the
    program that XLA compiles, stay. The environment variable ``VI_CACHE_DIR`` does the same.

    JAX's setting is one for the process. It is changed while this library computes, and put back
    after that, so that other code of yours is compiled as you have set it; only what other threads
    compile in the meantime may be written there too.

    Parameters
    ----------
    path : path or None
        The folder, made if it is not there; anyone who can write to it can make your process run
        their code, so share it with nobody. ``None``: compiled code is not kept.

    Raises
    ------
    TypeError
        If it is no path.
    OSError
        If it is no folder, or cannot be made or written to.

    Examples
    --------
    >>> import tempfile, vi
    >>> vi.cache_dir(tempfile.mkdtemp())
    >>> vi.cache_dir(None)
    """
    _FOLDER.path = None if path is None else _checked(path)


@contextlib.contextmanager
def code_on_disk() -> Iterator[None]:
    """Compile with the folder, where there is one, and leave JAX's settings as they were."""
    entered = _FOLDER.enter()
    try:
        yield
    finally:
        if entered:
            _FOLDER.leave()


class _Folder:
    """The folder, and who is using it: the first to enter sets it, the last to leave takes it back.

    JAX's settings, and the cache that it opens by them, belong to the process, not to a thread.
    """

    def __init__(self) -> None:
        self.path: str | None = None
        self._lock = threading.Lock()
        self._inside = 0
        self._before: dict[str, Any] = {}

    def enter(self) -> bool:
        """Whether the folder is in use from now on."""
        with self._lock:
            if self.path is None and not self._inside:
                return False
            if not self._inside:
                self._before = {name: getattr(jax.config, name) for name in _settings("")}
                _change(_settings(str(self.path)))
            self._inside += 1
            return True

    def leave(self) -> None:
        """Put back what was set before, after the last one."""
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _change(self._before)


def _settings(path: str) -> dict[str, Any]:
    """JAX's settings of a cache in that folder."""
    return {
        "jax_compilation_cache_dir": path,
        "jax_enable_compilation_cache": True,
        "jax_persistent_cache_min_compile_time_secs": WORTH_KEEPING,
    }


def _change(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it stays open in the folder in which it was opened


def _checked(path: Any) -> str:
    """The folder, made; refuse what cannot be one."""
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise TypeError(f"cache_dir({path!r}): give the path of a folder, or None for no cache.")
    folder = Path(path).expanduser().resolve()
    try:
        folder.mkdir(exist_ok=True)  # a path with a slip in it makes no folders
    except OSError as error:
        why = "a file is there" if isinstance(error, FileExistsError) else f"{error.strerror}"
        raise type(error)(
            f"cache_dir({path!r}): the folder cannot be made, {why}. Give the path of a folder "
            f"that can be written to, or None for no cache (at the import it is ${VARIABLE})."
        ) from error
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cache_dir({path!r}): the folder cannot be written to.")
    return str(folder)


_FOLDER = _Folder()
if os.environ.get(VARIABLE):
    cache_dir(os.environ[VARIABLE])
