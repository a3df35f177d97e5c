"""Settings as plain values and back: what a file holds instead of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from vi.algorithms import ALGORITHMS, LocalPart
from vi.families import BASES, FAMILIES, Part
from vi.kernels import KERNELS
from vi.objectives import ESTIMATORS
from vi.optimizers import AVERAGINGS, OPTIMIZERS, Named
from vi.optimizers.named import name_of

__all__ = ["LostError", "decode", "encode"]

REGISTRIES: dict[str, Mapping[str, Any]] = {
    "family": FAMILIES,
    "base": BASES,
    "objective": ESTIMATORS,
    "kernel": KERNELS,
    "algorithm": ALGORITHMS,
    "averaging": AVERAGINGS,
    "part": {"part": Part},
    "local_part": {"local_part": LocalPart},
}
"""What can be named in a file. The registries themselves, not copies: what is registered later is
found too."""


class LostError(ValueError):
    """Something that was fitted with is not in the file, or not here.

    The message says what, and why: "f, which a file cannot hold".
    """


def encode(item: Any) -> Any:
    """A value as JSON can hold it; what is code becomes ``{"lost": its name}``."""
    if item is None or isinstance(item, bool | int | float | str):
        return item
    if type(item) in (tuple, list):
        return {"tuple": [encode(value) for value in item]}
    if isinstance(item, Named):
        schedules = any(callable(value) for value in item.settings.values())
        registered = OPTIMIZERS.name_of(item.maker)
        if schedules or registered is None:
            return {"lost": repr(item)}
        settings = {name: encode(value) for name, value in item.settings.items()}
        return {"kind": "optimizer", "name": registered, "settings": settings}
    if is_dataclass(item) and not isinstance(item, type):
        for kind, registry in REGISTRIES.items():
            for name, known in registry.items():
                if type(item) is known:
                    settings = {
                        field.name: encode(getattr(item, field.name)) for field in fields(item)
                    }
                    return {"kind": kind, "name": name, "settings": settings}
    return {"lost": name_of(item)}


def decode(spec: Any, replace: dict[str, Any] | None = None) -> Any:
    """The value that was encoded; `replace` gives values for settings of the outermost object.

    Raises
    ------
    LostError
        If it was code, or has a name that is not registered.
    """
    if not isinstance(spec, dict):
        return spec
    if "lost" in spec:
        raise LostError(f"{spec['lost']}, which a file cannot hold")
    if "tuple" in spec:
        return tuple(decode(value) for value in spec["tuple"])
    registry: Mapping[str, Any] = (
        OPTIMIZERS if spec["kind"] == "optimizer" else REGISTRIES[spec["kind"]]
    )
    if spec["name"] not in registry:
        raise LostError(
            f"{spec['name']!r}, which is not registered here: import the module that registers it "
            "first"
        )
    known = replace or {}
    settings = {
        name: known[name] if name in known else decode(value)
        for name, value in spec["settings"].items()
    }
    if spec["kind"] == "objective" and "beta" in settings:
        # 0.1.0 weighed the entropy alone, under the name that now weighs the prior too
        settings["entropy_weight"] = settings.pop("beta")
    return registry[spec["name"]](**settings)


def innermost(spec: dict[str, Any]) -> dict[str, Any]:
    """The algorithm that makes the steps of one with local variables; any other one as it is."""
    inner: dict[str, Any] = spec["settings"].get("inner", spec)
    return inner
