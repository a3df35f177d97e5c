"""Arguments that are no numbers: one of some names, an object of a class, a function, a keyword."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from vi.foundation.numbers import shown

__all__ = ["check_mapping", "choice", "function", "instance", "unexpected"]


def choice(name: str, value: Any, accepted: Iterable[str]) -> str:
    """One of some names.

    Examples
    --------
    >>> choice("kind", "line", ("line", "bar"))
    'line'
    """
    accepted = tuple(accepted)
    if not isinstance(value, str) or value not in accepted:
        listed = (" or " if len(accepted) == 2 else ", ").join(map(repr, accepted))
        if isinstance(value, str):
            raise ValueError(f"{shown(name, value)} is unknown; use {listed}.")
        raise TypeError(f"{shown(name, value)}: use {listed}.")
    return value


def instance(name: str, value: Any, kind: Any, accepted: str) -> Any:
    """An object of a class; `accepted` says what to give.

    Examples
    --------
    >>> instance("size", 3, int, "a whole number")
    3
    >>> instance("size", "3", int, "a whole number")
    Traceback (most recent call last):
        ...
    TypeError: size='3': give a whole number.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{shown(name, value)}: give {accepted}.")
    return value


def function(name: str, value: Any, accepted: str, count: int | None = None) -> Any:
    """Something that can be called, with so many arguments; `accepted` says what to give."""
    if not callable(value):
        raise TypeError(f"{shown(name, value)} cannot be called: give {accepted}.")
    if count is None:
        return value
    try:
        inspect.signature(value).bind(*[None] * count)
    except ValueError:  # a function in C, that does not say
        pass
    except TypeError as error:
        raise TypeError(f"{shown(name, value)}: {error}; give {accepted}.") from None
    return value


def check_mapping(name: str, value: Any, accepted: str) -> Mapping[str, Any]:
    """A dict whose keys are texts; `accepted` says what it holds."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{shown(name, value)}: give {accepted}.")
    return value


def unexpected(of: str, name: str, known: Iterable[str], hint: str = "") -> TypeError:
    """The error for a keyword argument that is unknown, with a hint, or a name that is near.

    Examples
    --------
    >>> str(unexpected("fit", "modl", ["model", "method"]))
    "fit() got an unexpected keyword argument 'modl'. Did you mean model=?"
    """
    near = difflib.get_close_matches(name, [k for k in known if k != "self"], 1)
    if not hint and near:
        hint = f"Did you mean {near[0]}=?"
    return TypeError(f"{of}() got an unexpected keyword argument {name!r}.{hint and ' '}{hint}")
