"""Starts the process of a run, hears what it says, and ends it when its time is over.

Compiled code on disk is as if one other model had been fitted by the system before: caches are
filled by a fit of a normal's mean and deviation, and put back to that state before every run. A run
then compiles what its model needs, whatever was run before it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from one_run import ANOTHER_MODEL

__all__ = ["Launcher"]

BUILDING = 600.0
"""Seconds for imports and the model."""


class Launcher:
    """Makes runs in processes of their own.

    Parameters
    ----------
    folder : Path
        The data and references.
    cap : float
        Seconds that a fit may take, and each thing that comes after it.
    """

    def __init__(self, folder: Path, cap: float) -> None:
        self._folder, self._cap = folder, cap
        self._caches = Path(tempfile.mkdtemp(prefix="accuracy-"))

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._caches, ignore_errors=True)

    def run(self, python: str, system: str, posterior: str, seed: int) -> dict[str, Any]:
        """Make a run; return all that its process said, in one."""
        place = self._caches / system.replace(" ", "-")
        filled = place.with_suffix(".filled")
        if not filled.exists():
            self._process(python, system, ANOTHER_MODEL, 1, place)
            place.mkdir(exist_ok=True)
            place.rename(filled)
        shutil.copytree(filled, place)
        try:
            return self._process(python, system, posterior, seed, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _process(
        self, python: str, system: str, posterior: str, seed: int, caches: Path
    ) -> dict[str, Any]:
        reading, writing = os.pipe()
        script, folder = Path(__file__).with_name("one_run.py"), self._folder.resolve()
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [python, script, system, posterior, folder, str(seed), str(writing)],
                env=_environment(caches),
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            os.close(writing)
            try:
                known = _answers(reading, self._cap)
            finally:
                _end(process)
            errors.seek(0)
            return known | _failure(known, errors.read())


def _environment(caches: Path) -> dict[str, str]:
    """This process's environment, with the caches of PyTensor and numba elsewhere."""
    flags = [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={caches / 'pytensor'}"]
    moved = {
        "PYTENSOR_FLAGS": ",".join(flag for flag in flags if flag),
        "NUMBA_CACHE_DIR": str(caches / "numba"),
    }
    return dict(os.environ) | moved


def _answers(reading: int, cap: float) -> dict[str, Any]:
    """Answers until there are no more, or one takes too long."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        with os.fdopen(reading) as answers:
            for line in answers:
                lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    known: dict[str, Any] = {}
    limit = BUILDING
    while True:
        try:
            line = lines.get(timeout=limit)
        except queue.Empty:
            if "mean" in known:
                return known
            return {"seconds": limit} | known | {"error": f"more than {limit:.0f} s"}
        if not line:
            return known
        known |= {name: value for name, value in json.loads(line).items() if value is not None}
        limit = cap


def _failure(known: dict[str, Any], said: str) -> dict[str, Any]:
    """What a process that died without an answer said last."""
    if "mean" in known or "error" in known:
        return {}
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return {"error": f"the process ended: {last[0][:250]}"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
