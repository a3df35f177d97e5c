"""Settings as plain values and back: what a file holds instead of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pymc as pm
import pytensor

from vi.algorithms import ALGORITHMS, LocalPart
from vi.approximation.files.fingerprint import hash_of_graph
from vi.families import BASES, FAMILIES, Part
from vi.families.conditionals import Conditionals
from vi.kernels import KERNELS
from vi.objectives import ESTIMATORS
from vi.optimizers import AVERAGINGS, OPTIMIZERS, Named
from vi.optimizers.named import name_of
from vi.targets.model.conditionals import ModelConditionals, conditionals_of

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
        return _encoded_optimizer(item)
    if isinstance(item, ModelConditionals):
        return {"kind": "conditionals", "name": "of_model", "settings": _known_of(item)}
    if is_dataclass(item) and not isinstance(item, type):
        for kind, registry in REGISTRIES.items():
            for name, known in registry.items():
                if type(item) is known:
                    settings = {
                        field.name: encode(getattr(item, field.name)) for field in fields(item)
                    }
                    return {"kind": kind, "name": name, "settings": settings}
    return {"lost": name_of(item)}


def decode(
    spec: Any,
    replace: dict[str, Any] | None = None,
    model: pm.Model | None = None,
    *,
    check_model: bool = True,
) -> Any:
    """The value that was encoded.

    Parameters
    ----------
    spec : optional
        What :func:`encode` returned.
    replace : dict, optional
        Values for settings of the outermost object.
    model : pymc.Model, optional
        The model, of which some settings are functions.
    check_model : bool
        Whether these have to be the functions that they were.

    Raises
    ------
    LostError
        If it was code, has a name that is not registered, or the model has it no longer.
    """
    if not isinstance(spec, dict):
        return spec
    if "lost" in spec:
        raise LostError(f"{spec['lost']}, which a file cannot hold")
    if "tuple" in spec:
        return tuple(decode(each, None, model, check_model=check_model) for each in spec["tuple"])
    if spec["kind"] == "conditionals":
        return _conditionals(spec["settings"], model, check_model=check_model)
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
        name: known[name] if name in known else decode(value, None, model, check_model=check_model)
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


def _encoded_optimizer(item: Named) -> dict[str, Any]:
    schedules = any(callable(value) for value in item.settings.values())
    registered = OPTIMIZERS.name_of(item.maker)
    if schedules or registered is None:
        return {"lost": repr(item)}
    settings = {name: encode(value) for name, value in item.settings.items()}
    return {"kind": "optimizer", "name": registered, "settings": settings}


def _known_of(conditionals: ModelConditionals) -> dict[str, Any]:
    """By what locations and scales that are read from a model are known again."""
    graphs = [graph for each in conditionals.graphs for graph in each]
    return {
        "names": ", ".join(conditionals.names),
        "graphs": " ".join(hash_of_graph(graph, {}) for graph in graphs),
        # another version may build the same model in other ways
        "built_by": f"pymc {pm.__version__}, pytensor {pytensor.__version__}",
    }


def _conditionals(
    stored: dict[str, Any], model: pm.Model | None, *, check_model: bool
) -> Conditionals:
    """Locations and scales, read from the model again."""
    what = f"locations and scales of {stored['names']}"
    if model is None:
        raise LostError(f"{what}, which only the model has")
    try:
        found = conditionals_of(model)
    except ValueError:
        raise LostError(f"{what}, which this model does not have") from None
    present = _known_of(found)
    if present["names"] != stored["names"]:
        raise LostError(f"{what}, and this model those of {present['names']}")
    same = present["graphs"] == stored["graphs"] or present["built_by"] != stored["built_by"]
    if check_model and not same:
        raise LostError(
            f"{what}, which are others in this model or with its present data. Load into the model "
            "that was fitted, with its data; with check_model=False q is that of the present ones"
        )
    return found
