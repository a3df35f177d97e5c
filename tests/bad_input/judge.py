"""What happened to a call: understood, refused in words, or a fault."""

from __future__ import annotations

import contextlib
import re
import reprlib
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from bad_input.calls import Call, names, written
from bad_input.world import world

ROOT = Path(__file__).parents[2]
OURS = (str(ROOT / "vi"), str(ROOT / "callbacks"))
READABLE = (TypeError, ValueError, RuntimeError, ImportError, OSError, NotImplementedError)
BINDING = re.compile(
    r"unexpected keyword argument|missing \d+ required|takes .*positional argument|"
    r"multiple values|too many positional"
)
SECONDS = 30
"""How long one call may take."""


@dataclass(frozen=True)
class Outcome:
    """What happened to a call; `fault` is empty where all is well."""

    call: Call
    fault: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.fault}: {self.detail}\n{self.call.script}"


class TooLongError(BaseException):
    """A call that took too long; no ``Exception``, so that nobody takes it for one."""


@contextlib.contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """End what takes too long, where the system can (not on Windows, not in threads)."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: Any) -> None:
        raise TooLongError

    former = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def judged(call: Call) -> Outcome:
    """Make a call and judge what happens."""
    w = world()
    w.renew()
    approx = w.approx
    record = approx.record
    shared = [(v, v.get_value()) for v in approx.params]
    known = names(w)
    values = {name: eval(text, known) for name, text in call.arguments.items()}
    free = [eval(text, known) for text in call.free]
    function = eval(written(call.of), known)
    try:
        with warnings.catch_warnings(), time_limit():
            warnings.simplefilter("ignore")
            function(*free, **values)
    except TooLongError:
        return Outcome(call, "hangs", f"more than {SECONDS} s")
    except Exception as error:  # noqa: BLE001 (which error it is, is the question)
        return _of_error(call, error, values, free, changed=_changed(approx, record, shared))
    if call.never:
        return Outcome(call, "silent", "accepted")
    return Outcome(call, "")


def _changed(approx: Any, record: Any, shared: list[tuple[Any, np.ndarray]]) -> bool:
    same = all(np.array_equal(v.get_value(), old, equal_nan=True) for v, old in shared)
    return approx.record is not record or not same


def _of_error(
    call: Call, error: Exception, values: dict[str, Any], free: list[Any], *, changed: bool
) -> Outcome:
    text = str(error)
    shown = f"{type(error).__name__}: {text[:300]}"
    if not call.wrong:
        return Outcome(call, "good call refused", shown)
    if changed:
        return Outcome(call, "changed", shown)
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1].filename
    if isinstance(error, TypeError) and _is_binding(call) and BINDING.search(text):
        own = call.of.name.removeprefix("vi.").split(".")
        if any(re.search(rf"\b{part}\b", text) for part in own[-2:]):
            return Outcome(call, "")
        return Outcome(call, "unreadable", f"does not name {own[-1]}: {shown}")
    if _is_verdict(call, error):
        return Outcome(call, "")
    if not isinstance(error, READABLE) and not in_words(error):
        return Outcome(call, "unreadable", f"{shown} ({last}:{frames[-1].lineno})")
    if not last.startswith(OURS):
        return Outcome(call, "unreadable", f"foreign: {shown} ({last}:{frames[-1].lineno})")
    wrong = call.wrong[0]
    keys = values[wrong] if isinstance(values.get(wrong), dict) else {}
    words = (*_words(wrong), *map(str, keys))
    named = any(re.search(rf"\b{re.escape(word)}\b", text) for word in words)
    if not named:
        return Outcome(call, "unreadable", f"does not name {wrong}: {shown}")
    if any(phrase in text for phrase in WHATEVER_IT_IS):
        return Outcome(call, "")
    if wrong in values:
        got = values[wrong]
    elif free and not wrong.startswith(("no ", "too many")):
        got = free[0]
    else:
        return Outcome(call, "")
    if not any(token and token in text for token in _shown(got)):
        return Outcome(call, "unreadable", f"does not say what was got: {shown}")
    return Outcome(call, "")


def in_words(error: Exception) -> bool:
    """Whether a ``KeyError`` holds a sentence, not the key alone."""
    return isinstance(error, KeyError) and " " in str(error.args[0])


def _is_binding(call: Call) -> bool:
    """Whether it is the arguments' names or number that are wrong."""
    return call.wrong[0] not in call.arguments or call.wrong[0] not in {
        p.name for p in call.of.parameters
    }


def _is_verdict(call: Call, error: Exception) -> bool:
    """Whether a check says of what it was given that it is none: by an AssertionError in words."""
    checked = call.of.name.startswith("vi.testing.") and call.of.parameters[0].name in call.wrong
    return checked and isinstance(error, AssertionError) and bool(str(error))


WHATEVER_IT_IS = ("is not supported", "are those of a log density")
"""Words of a refusal that does not depend on what was given."""

ALSO_CALLED = {
    "z": ("points", "Points"),
    "given": ("encoder", "kernel", "Rows", "nothing at", "loader", "n_rows"),
    "constructor": ("with_settings",),
    "cls": ("registered",),
    "arrays": ("Field",),
    "approx": ("approximation",),
    "fn": ("log density",),
    "data": ("Rows", "nothing at", "loader", "n_rows", "list"),
    "params": ("parameter",),
    "path": ("file", "File", "at", "folder"),
}
"""Words by which a message may call an argument: of one that is mostly given without its name."""


def _words(wrong: str) -> tuple[str, ...]:
    wrong = wrong.removeprefix("no ")
    return (wrong, wrong.removesuffix("s"), *ALSO_CALLED.get(wrong, ()))


def _shown(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts by which a message may say what it got."""
    yield repr(value)
    yield reprlib.repr(value)
    yield str(value)
    yield type(value).__name__
    yield from _of_objects(value)
    if isinstance(value, type) or callable(value):
        yield getattr(value, "__name__", "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield f"{value:g}"
    if hasattr(value, "shape"):
        yield str(value.shape)
        yield str(value.dtype)
    if depth < 3:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from _shown(key, depth + 1)
                yield from _shown(item, depth + 1)
        elif isinstance(value, list | tuple):
            if not value:
                yield "empty"
            for item in value:
                yield from _shown(item, depth + 1)
    if isinstance(value, dict | str) and not value:
        yield "empty"


def _of_objects(value: Any) -> Iterator[str]:
    """The same of things that no message shows whole."""
    if value is None:
        yield "nothing"
    elif isinstance(value, pm.Model):
        yield "model"
    elif isinstance(value, xr.Dataset | xr.DataTree):
        yield from ("dataset", "posterior", "groups", "nothing")
    elif isinstance(value, str):
        yield repr(str(Path(value).parent))
        yield str(np.asarray(value).dtype)
    elif isinstance(value, list | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):  # rows of different lengths
            yield str(np.shape(value))
    if isinstance(value, float) and not np.isfinite(value):
        yield "not finite"
