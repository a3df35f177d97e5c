"""A good call of everything public, from which bad ones are made."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import xarray as xr

import vi
from bad_input.good import ALWAYS, ANY_NAME, BESIDE, FREE, GOOD, GOOD_HERE, RECEIVERS
from bad_input.kinds import Kind
from bad_input.surface import Parameter, Public, callables
from bad_input.values import kind_of
from bad_input.world import World, world

IMPORTS = """import jax, jax.numpy as jnp, numpy as np, optax, pymc as pm, xarray as xr, vi
from numpy import inf, nan
from bad_input.world import world  # PYTHONPATH=tests
w = world()"""


@dataclass(frozen=True)
class Call:
    """A call as it would be written, and what is bad about it.

    Parameters
    ----------
    of : Public
        What is called.
    arguments : dict
        Texts by name.
    wrong : tuple of str
        Arguments whose values are bad; empty for a good call.
    never : bool
        Whether it must be refused.
    free : tuple of str
        Arguments that stand first, without a name.
    """

    of: Public
    arguments: dict[str, str]
    wrong: tuple[str, ...] = ()
    never: bool = False
    free: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The line of code."""
        named = [f"{name}={value}" for name, value in self.arguments.items()]
        return f"{written(self.of)}({', '.join([*self.free, *named])})"

    @property
    def script(self) -> str:
        """A script that makes the call."""
        return f"{IMPORTS}\n{self.text}"


def written(of: Public) -> str:
    """What is called, as it would be written: a method of an object of its class."""
    if not of.is_method:
        return of.name
    if of.name in RECEIVERS:
        return RECEIVERS[of.name]
    kind, _, method = of.name.rpartition(".")
    return f"{RECEIVERS[kind]}.{method}"


def good_call(of: Public) -> Call:
    """A call that is right and cheap."""
    here = GOOD_HERE.get(of.name, {})
    names = {p.name for p in of.parameters}
    arguments = {
        p.name: here.get(p.name, GOOD.get(p.name, ""))
        for p in of.parameters
        if not p.several and (p.required or p.name in here or p.name in ALWAYS)
    }
    arguments |= {name: value for name, value in here.items() if name not in names}
    arguments = {name: value for name, value in arguments.items() if value != "None"}
    free = (FREE[of.name],) if of.name in FREE else ()
    return Call(of, arguments, free=free)


def bad_calls(of: Public) -> Iterator[Call]:
    """All calls with one bad argument."""
    good = good_call(of)
    for p in of.parameters:
        kind = kind_of(of.name, p)
        if kind is None:
            continue
        for value, never in _bad_values(kind, p):
            if p.several:
                yield replace(good, free=(value,), wrong=(p.name,), never=never)
            else:
                beside = BESIDE.get((of.name, p.name), {})
                arguments = good.arguments | beside | {p.name: value}
                yield replace(good, arguments=arguments, wrong=(p.name,), never=never)
        if p.required and p.name in good.arguments:
            rest = {name: value for name, value in good.arguments.items() if name != p.name}
            yield replace(good, arguments=rest, wrong=(f"no {p.name}",), never=True)
        if not p.several:
            near = {name: value for name, value in good.arguments.items() if name != p.name}
            near[_misspelt(p.name)] = good.arguments.get(p.name, "1")
            if of.name not in ANY_NAME:
                yield replace(good, arguments=near, wrong=(_misspelt(p.name),), never=True)
    unknown = good.arguments | {"nothing_at_all": "3"}
    if of.name not in ANY_NAME:
        yield replace(good, arguments=unknown, wrong=("nothing_at_all",), never=True)
        many = (*good.free, *(["3"] * 30))
        if not good.free and of.name != "vi.Approximation.unfreeze":
            yield replace(good, free=many, arguments={}, wrong=("too many",), never=True)


def _misspelt(name: str) -> str:
    return name[:-1] if len(name) > 3 and not name.endswith("s") else f"{name}x"


def _bad_values(kind: Kind, p: Parameter) -> Iterator[tuple[str, bool]]:
    for value in kind.never:
        if not (value == "None" and p.takes_none):
            yield value, True
    for value in kind.perhaps:
        yield value, False
    if not p.takes_none and not p.several and "None" not in kind.never:
        yield "None", True


def all_bad_calls() -> list[Call]:
    """Every call with one bad argument."""
    return [call for of in callables() for call in bad_calls(of)]


def some_bad_calls(n: int, seed: int, without: Collection[str] = ()) -> list[Call]:
    """As many of these, spread evenly over what is called."""
    rng = random.Random(seed)
    queues = [list(bad_calls(of)) for of in callables() if of.name not in without]
    for queue in queues:
        rng.shuffle(queue)
    rng.shuffle(queues)
    found: list[Call] = []
    while len(found) < n and any(queues):
        found += [queue.pop() for queue in queues if queue]
    return found[:n]


def names(w: World | None = None) -> dict[str, Any]:
    """What a call's text is read with."""
    return {
        "vi": vi,
        "pm": pm,
        "np": np,
        "xr": xr,
        "jax": jax,
        "jnp": jnp,
        "optax": optax,
        "nan": np.nan,
        "inf": np.inf,
        "w": w or world(),
    }
