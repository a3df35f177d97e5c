"""The list of zoo models: what an entry says about a model, and the decorator that adds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pymc as pm


@dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    Parameters
    ----------
    name
        Name of the entry, unique in the zoo.
    build
        Makes a new model with fixed data; two calls give equal models.
    gaps
        Where the model does not run, and why: keys among ``"jax"``, ``"pytensor"`` and
        ``"pytensor-float32"``. A gap of ``"jax"`` or ``"pytensor"`` holds in both precisions; the
        ``float32`` key is for what fails in that precision only.
    refused
        Regular expression that the error message matches, for a model that must be refused.
    """

    name: str
    build: Callable[[], pm.Model]
    gaps: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None


_ENTRIES: dict[str, Entry] = {}
_KEYS = frozenset({"jax", "pytensor", "pytensor-float32"})


def add(entry: Entry) -> None:
    """Add an entry under its name."""
    if entry.name in _ENTRIES:
        raise ValueError(f"Two models are called {entry.name!r}: rename one.")
    if unknown := set(entry.gaps) - _KEYS:
        raise ValueError(
            f"{entry.name!r} has gaps {sorted(unknown)}; accepted are {sorted(_KEYS)}."
        )
    _ENTRIES[entry.name] = entry


def model(
    *, gaps: Mapping[str, str] | None = None, refused: str | None = None
) -> Callable[[Callable[[], pm.Model]], Callable[[], pm.Model]]:
    """Add the decorated zero-argument function to the zoo, under the function's name."""

    def register(build: Callable[[], pm.Model]) -> Callable[[], pm.Model]:
        add(Entry(build.__name__, build, dict(gaps or {}), refused))
        return build

    return register


def entries() -> tuple[Entry, ...]:
    """Return every entry, in the order of definition."""
    return tuple(_ENTRIES.values())
