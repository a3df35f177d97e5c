"""What a method must declare, take and return: looked at where it is registered, made and run."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from vi.algorithms import Algorithm
from vi.families import FAMILIES
from vi.inference.one_shot import OneShot

__all__ = ["check_arguments", "check_declared", "check_made"]


def check_declared(cls: type) -> None:
    """Refuse a class that declares a family that there is not.

    Raises
    ------
    ValueError
        If ``family_name`` is no name of a family.
    """
    name = getattr(cls, "family_name", None)
    if name is None or name in FAMILIES:
        return
    near = difflib.get_close_matches(str(name), FAMILIES, 1)
    hint = f" Did you mean {near[0]!r}?" if near else " One of your own is registered first."
    raise ValueError(
        f"{cls.__name__} has family_name = {name!r}; families are {', '.join(map(repr, FAMILIES))},"
        f" and None says that it fits whatever it is given.{hint}"
    )


def check_arguments(cls: type, arguments: Mapping[str, Any], inf_kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a method's ``__init__`` does not take, before it is called.

    Parameters
    ----------
    cls : type
        The method's class.
    arguments : mapping
        What ``fit`` hands on by itself, ``model`` among it.
    inf_kwargs : mapping
        What the user wrote in ``inf_kwargs``.

    Raises
    ------
    TypeError
        With the name that is not taken, those that are, and what to do.
    """
    parameters = {
        name: p for name, p in inspect.signature(cls).parameters.items() if p.kind not in _POSITIONS
    }
    more = next((name for name, p in parameters.items() if p.kind is p.VAR_KEYWORD), None)
    taken = {name: None for name in parameters if name != more}
    named = None if more is None else _options_of(cls, more)
    taken |= dict.fromkeys(named or ())
    given = {**arguments, **inf_kwargs}
    unknown = [] if more is not None and named is None else [n for n in given if n not in taken]
    if unknown == ["model"] or ("model" in unknown and not inf_kwargs.keys() & set(unknown)):
        raise TypeError(
            f"method={cls.__name__} does not take model=, so that it needs an approximation: give "
            f"an instance, {cls.__name__}(approx). To be made by fit, its __init__ takes **options "
            "and hands them on: super().__init__(vi.MeanField(**options))."
        )
    if unknown:
        name = next((n for n in unknown if n in inf_kwargs), unknown[0])
        near = difflib.get_close_matches(name, taken, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if name in inf_kwargs:
            raise TypeError(
                f"inf_kwargs has {name!r}, which {cls.__name__} does not take; it takes "
                f"{', '.join(taken)}.{hint}"
            )
        advice = "Leave it out."
        if cls.__module__.partition(".")[0] != __name__.partition(".")[0]:
            advice = (
                "Leave it out, or let __init__ take **options and hand them on: "
                "super().__init__(vi.MeanField(**options))."
            )
        raise TypeError(
            f"{name}={given[name]!r} is not taken by {cls.__name__}, which takes "
            f"{', '.join(taken) or 'nothing'}. {advice}"
        )
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and name != more and name not in given
    ]
    if missing:
        raise TypeError(
            f"method={cls.__name__} needs {', '.join(missing)}: give it in inf_kwargs, or an "
            f"instance, {cls.__name__}(...)."
        )


def check_made(cls: type, made: Any, *, stepwise: bool) -> Algorithm | OneShot:
    """What ``algorithm()`` of a method returned; refuse what cannot be run.

    Raises
    ------
    TypeError
        If it is nothing, a class, or something else than what the method declares.
    """
    if not isinstance(made, Algorithm | OneShot):
        got = "nothing" if made is None else repr(made)
        if isinstance(made, type):
            got = f"the class {made.__name__}; make one, {made.__name__}(...)"
        raise TypeError(
            f"algorithm(options) of {cls.__name__} must return a vi.algorithms.Algorithm, or a "
            f"OneShot where it has no steps; got {got}."
        )
    if isinstance(made, OneShot) == stepwise:
        what = "a OneShot" if stepwise else "an Algorithm"
        raise TypeError(
            f"algorithm(options) of {cls.__name__} returned {what}: declare stepwise = "
            f"{not stepwise} in the class, by which options are refused or taken."
        )
    return made


_POSITIONS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)


def _options_of(cls: type, name: str) -> tuple[str, ...] | None:
    """The names that ``**options`` takes where they are declared, ``Unpack[...]``."""
    try:
        hint = get_type_hints(cls.__init__)[name]  # type: ignore[misc]
        return tuple(get_type_hints(get_args(hint)[0]))
    except (KeyError, IndexError, NameError, TypeError, AttributeError):
        return None  # not declared, or in names that only a type checker knows
