"""What can be called: every public function, class and method, from what the API page lists."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

API = Path(__file__).parents[2] / "docs" / "api.md"

MADE_BY_THE_LIBRARY = {
    "Block": "what a stream hands out",
    "Converged": "an exception",
    "DataError": "an exception",
    "Diagnosis": "what diagnose() returns",
    "DensityModel": "what from_function() returns",
    "DivergedError": "an exception",
    "Encoded": "the family of a batch within a step",
    "Local": "what a fit with local variables makes of its algorithm",
    "LocalPart": "likewise",
    "MapPoint": "what find_map() returns",
    "MinibatchVariable": "what vi.Minibatch returns",
    "Named": "what an optimiser is",
    "Profile": "what run_profiling() returns",
    "Question": "what an algorithm asks",
    "RowsOfStep": "the rows of a step",
    "State": "the state of a run",
    "Status": "how a run ended",
    "Structure": "what structure() returns",
    "Sums": "what a kernel returns",
}
"""Classes whose objects users are given; their methods count, their making does not."""

IN_TRACED_CODE = (
    "vi.families.",
    "vi.kernels.",
    "vi.objectives.",
    "vi.algorithms.",
    "vi.optimizers.",
)
"""Rooms whose methods the library calls, on arrays within compiled code: a look at values is not
possible there, and `vi.testing` checks them. What makes their objects is called by users."""


CALLED_BY_THE_LIBRARY = {
    r"vi\.\w+\.algorithm": "a fit calls it, with options that it has checked",
    r"vi\.PolynomialAverage\.\w+": "within a step, on what it has made itself",
    r"vi\.callbacks\.Tracker\.record": "a run calls it after a step, as every callback",
    r"vi\.data\.\w*Source\.(take|take_into|open|reads|endless|once|peek)": (
        "a stream, head() and source_from() call it, with what they have checked"
    ),
    r"vi\.data\.Stream\.(once|some)": "a diagnosis calls it, with what it has checked",
    r"vi\.targets\.Target\.\w+": "a run calls it, with arrays of its own",
}
"""Methods that users write and the library calls, and why."""


@dataclass(frozen=True)
class Parameter:
    """An argument: its name, annotation, and whether it may be left out or positional."""

    name: str
    annotation: str
    required: bool
    takes_none: bool
    positional: bool = True
    several: bool = False


@dataclass(frozen=True)
class Public:
    """Something public that can be called.

    `name` is what stands in a script; that of a method begins with its class, ``vi.ADVI.fit``.
    """

    name: str
    function: Any = field(compare=False, repr=False)
    parameters: tuple[Parameter, ...]
    is_method: bool = False

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]


def packages() -> list[ModuleType]:
    """The packages that the API page lists."""
    names = re.findall(r"^\.\. public-names:: ([\w.]+)$", API.read_text(), flags=re.MULTILINE)
    return [importlib.import_module(name) for name in names]


def callables() -> list[Public]:
    """Everything public that can be called, each once."""
    found: dict[str, Public] = {}
    seen: set[int] = set()
    for package in packages():
        for name in package.__all__:
            item = getattr(package, name)
            if id(item) in seen or not _is_callable(item):
                continue
            seen.add(id(item))
            for one in _of(f"{package.__name__}.{name}", item):
                if one.function not in [other.function for other in found.values()]:
                    found[one.name] = one
    return [found[name] for name in sorted(found)]


def _is_callable(item: Any) -> bool:
    return (inspect.isclass(item) or inspect.isroutine(item)) and not isinstance(item, ModuleType)


def _of(full: str, item: Any) -> Iterator[Public]:
    if not inspect.isclass(item):
        yield Public(full, item, tuple(parameters_of(item)))
        return
    if not (inspect.isabstract(item) or item.__name__ in MADE_BY_THE_LIBRARY):
        yield Public(full, item, tuple(parameters_of(item)))
    if full.startswith(IN_TRACED_CODE):
        return
    for name, value in inspect.getmembers(item, _is_method):
        written_here = (getattr(value, "__module__", "") or "").partition(".")[0] == "vi"
        public = not name.startswith("_") or (name == "__call__" and "Callback" in full)
        called_here = any(re.fullmatch(p, f"{full}.{name}") for p in CALLED_BY_THE_LIBRARY)
        abstract = getattr(value, "__isabstractmethod__", False)
        if public and written_here and not abstract and not called_here:
            yield Public(f"{full}.{name}", _plain(item, name), tuple(parameters_of(value)), True)


def _is_method(value: Any) -> bool:
    return inspect.isfunction(value) or inspect.ismethod(value)


def _plain(kind: type, name: str) -> Any:
    """The function of a method, the same for every subclass that inherits it."""
    return inspect.getattr_static(next(k for k in kind.__mro__ if name in vars(k)), name)


def parameters_of(function: Any) -> Iterator[Parameter]:
    """The arguments, those of ``**options: Unpack[...]`` by name too."""
    kinds = inspect.Parameter
    for name, p in inspect.signature(function).parameters.items():
        annotation = p.annotation if isinstance(p.annotation, str) else str(p.annotation)
        if name == "self":
            continue
        if p.kind is kinds.VAR_POSITIONAL:
            if annotation == "str":  # names of groups; arrays and a model's arguments are free
                yield Parameter(name, annotation, False, False, several=True)
            continue
        if p.kind is kinds.VAR_KEYWORD:
            options = re.fullmatch(r"Unpack\[(\w*Options)\]", annotation)
            if options:
                yield from _of_options(function, options[1])
            continue
        yield Parameter(
            name,
            annotation,
            p.default is p.empty,
            p.default is None or "None" in annotation or annotation == "Any",
            p.kind is not kinds.KEYWORD_ONLY,
        )


def _of_options(function: Any, name: str) -> Iterator[Parameter]:
    init = function.__init__ if inspect.isclass(function) else function
    for option, annotation in typing.get_type_hints(init.__globals__[name]).items():
        takes_none = option != "scale_cost_to_minibatch"
        yield Parameter(option, str(annotation), False, takes_none, positional=False)
