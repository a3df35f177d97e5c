"""What a call of ``pm.fit`` and the options of ``vi.as_pm_fit`` come to together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc.variational.callbacks import CheckParametersConvergence

from vi.inference.contract import check_arguments
from vi.inference.default_method import OF_ONE_METHOD, PLAIN
from vi.inference.inference import Inference
from vi.inference.inference_from import class_of
from vi.inference.one_shot import STEPS_ONLY

__all__ = ["PLAIN", "merged", "takes"]

OF_DATA = ("more_replacements", "batch_size", "scale")
"""What is said of the data, and never left out: where a method cannot, it refuses."""

OF_PARAMETERS = CheckParametersConvergence
"""A callback that judges the parameters of one method, whose scale and number it was set for."""


def merged(call: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The arguments of ``vi.fit``, and what of the call does not hold.

    Parameters
    ----------
    call : mapping
        What the call says, by name.
    options : mapping
        What goes before it, checked.

    Returns
    -------
    arguments : dict
    note : str
        One clause for the log; empty where all of the call holds.
    """
    call = {name: value for name, value in call.items() if value is not None}
    theirs, more = call.pop("method", PLAIN), call.pop("inf_kwargs", {})
    method = options.get("method", theirs)
    if not isinstance(more, Mapping):  # vi.fit says what it should be
        return {**call, **options, "method": method, "inf_kwargs": more}, ""
    notes: list[str] = []
    dropped: dict[str, None] = {}
    if _kind(method) is not _kind(theirs):
        notes.append(f"method={method!r} in place of {theirs!r}")
        dropped = _of_another_method(call, class_of(method))
        dropped |= {name: None for name in more if not takes(class_of(method), name)}
        callbacks = call.get("callbacks")
        if isinstance(callbacks, list | tuple):
            checks = [c for c in callbacks if isinstance(c, OF_PARAMETERS)]
            call["callbacks"] = [c for c in callbacks if not isinstance(c, OF_PARAMETERS)]
            dropped |= {type(c).__name__: None for c in checks}
    more = {n: v for n, v in more.items() if n not in dropped} | (options.get("inf_kwargs") or {})
    arguments = {name: value for name, value in call.items() if name not in dropped}
    instead = [n for n in options if n in arguments and n not in ("method", "inf_kwargs")]
    notes += [f"{name}={options[name]!r} in place of {arguments[name]!r}" for name in instead]
    if dropped:
        notes.append("left out of the call: " + ", ".join(dropped))
    arguments |= {**options, "method": method}
    arguments |= {"inf_kwargs": more} if more else {}
    return arguments, "; ".join(notes)


def takes(kind: type[Inference], name: str) -> bool:
    """Whether a method's class takes an argument of that name."""
    try:
        check_arguments(kind, {"model": None}, {name: None})
    except TypeError:
        return False
    return True


def _kind(method: Any) -> Any:
    """What a method is compared by: its class, or the name that is none, or the object."""
    try:
        return class_of(method)
    except (TypeError, ValueError):
        return method


def _of_another_method(call: Mapping[str, Any], kind: type[Inference]) -> dict[str, None]:
    """The names of what a call says of its own method, and what this one does not take."""
    named = OF_ONE_METHOD if kind.stepwise else (*OF_ONE_METHOD, *STEPS_ONLY)
    dropped = [name for name in call if name in named and name not in OF_DATA]
    if "n" in call and kind.default_n != Inference.default_n:
        dropped.append("n")
    return dict.fromkeys(dropped)
