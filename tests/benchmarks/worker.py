"""A process that holds one engine, and the handle by which the main process drives it: JSON lines
over pipes.

Requests come in on standard input and answers go out on a descriptor of their own, so that standard
output is free (it is a terminal where the progress bar is timed).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

__all__ = ["Worker", "WorkerError", "environment"]


class WorkerError(RuntimeError):
    """An engine failed; the text is the end of what it wrote to standard error."""


class Worker:
    """One engine in a fresh process.

    Parameters
    ----------
    engine, workload : str
        Names.
    caches : Path or None
        Folder for what PyTensor, numba and vi compile; ``None``: where they usually keep it.
    stdout : int or None
        Descriptor for the process's standard output; ``None`` throws it away.
    module : str
        The module whose ``make(engine, workload)`` makes it.
    """

    def __init__(
        self,
        engine: str,
        workload: str,
        caches: Path | None = None,
        stdout: int | None = None,
        module: str = "engines",
    ) -> None:
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, __file__, module, engine, workload, str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=self._errors,
            pass_fds=[writing],
            env=environment(caches),
            text=True,
        )
        os.close(writing)
        self._answers = os.fdopen(reading)

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises
        ------
        WorkerError
            If the process ended instead.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"request": request, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines() or [
                f"exit status {self._process.returncode}"
            ]
            raise WorkerError(lines[-1])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # the end of its requests is the end of the worker
        self._process.wait()
        self._answers.close()
        self._errors.close()


def environment(caches: Path | None) -> dict[str, str]:
    """This process's environment, thread settings as they are, with PyTensor's, numba's and
    vi's caches moved.
    """
    environment = dict(os.environ)
    if caches is not None:
        flags = [environment.get("PYTENSOR_FLAGS", ""), f"base_compiledir={caches / 'pytensor'}"]
        environment["PYTENSOR_FLAGS"] = ",".join(flag for flag in flags if flag)
        environment["NUMBA_CACHE_DIR"] = str(caches / "numba")
        environment["VI_CACHE_DIR"] = str(caches / "vi")
    return environment


class _Requests:
    """What a worker can be asked for."""

    def __init__(self, module: str, engine: str, workload: str) -> None:
        self._engine = importlib.import_module(module).make(engine, workload)

    def fresh(self, finish: bool) -> dict[str, float]:
        """The first step and, if wanted, the run to the end, seconds from the built model."""
        began = time.perf_counter()
        self._engine.first()
        times = {"first": time.perf_counter() - began}
        if finish:
            self._engine.finish()
            times["end_to_end"] = time.perf_counter() - began
        return times

    def fit(self, n: int) -> dict[str, Any]:
        """A run of ``n`` steps: the first call and the whole, seconds from the built model, and
        what was found.
        """
        began = time.perf_counter()
        self._engine.first()
        first = time.perf_counter() - began
        self._engine.advance(n - self._engine.done)
        whole = time.perf_counter() - began
        mean, sd = (values.tolist() for values in self._engine.posterior())
        return {
            "first": first,
            "end_to_end": whole,
            "mean": mean,
            "sd": sd,
            "device": self._engine.device(),
        }

    def prepare(self, seconds: float) -> dict[str, int]:
        """Compile, and find how many steps take ``seconds``."""
        self._engine.first()
        unit = self._engine.unit
        n = max(100, unit)
        while (elapsed := self.steps(n)["seconds"]) < seconds / 4:
            n *= 4
        return {"n": max(1, round(n * seconds / elapsed / unit)) * unit}

    def steps(self, n: int, progressbar: bool = False) -> dict[str, float]:
        """Time ``n`` more steps."""
        began = time.perf_counter()
        self._engine.advance(n, progressbar)
        return {"seconds": time.perf_counter() - began}


def _serve(module: str, engine: str, workload: str, descriptor: int) -> None:
    requests = _Requests(module, engine, workload)
    with os.fdopen(descriptor, "w") as answers:
        for line in sys.stdin:
            arguments = json.loads(line)
            answer = getattr(requests, arguments.pop("request"))(**arguments)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:4], int(sys.argv[4]))
