"""What users' parts return, looked at without computing it: traced, and said in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax

__all__ = ["is_foreign", "said", "traced"]


def is_foreign(*parts: Any) -> bool:
    """Whether a part was not written in this library, so that it has to be looked at."""
    here = __name__.partition(".")[0]
    return any(type(part).__module__.partition(".")[0] != here for part in parts)


def traced(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, as shapes; what it raises, with what it is a function of.

    Parameters
    ----------
    what : str
        The function and whose it is, for the message: ``"draw(params, noise) of the family 'x'"``.
    function : callable
        The function.
    *arguments : pytrees
        Arrays, or shapes of arrays.

    Raises
    ------
    TypeError
        If it cannot be traced.
    """
    try:
        return jax.eval_shape(function, *arguments)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise TypeError(f"{what} cannot be traced: {type(error).__name__}: {error}") from error


def said(value: Any) -> str:
    """A value in words: the types and shapes of arrays, the names of other types."""
    if value is None:
        return "nothing"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {said(item)}" for key, item in value.items()) + "}"
    if type(value) is tuple:
        return f"({', '.join(map(said, value))})"
    return (
        repr(value) if isinstance(value, bool | int | float | str | list) else type(value).__name__
    )
