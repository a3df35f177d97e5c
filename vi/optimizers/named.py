"""Optimisers that know their own name and settings, so that a run can be saved and resumed
without storing code.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np
import optax

__all__ = ["OPTIMIZERS", "Named", "named"]

P = ParamSpec("P")

OPTIMIZERS: dict[str, Callable[..., Named]] = {}
"""The named optimisers' constructors; contract tests run over all of them."""


class Named(optax.GradientTransformationExtraArgs):
    """An optax transformation with a name and settings; equal settings make equal objects, which
    share compiled code.

    It is an ordinary ``(init, update)`` pair: ``optax.chain`` and every other wrapper take it.
    """

    name: str
    settings: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and (self.name, self.settings) == (
            other.name,
            other.settings,
        )

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.settings))))

    def __repr__(self) -> str:
        return (
            f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.settings.items())})"
        )

    def __reduce__(self) -> tuple[Callable[..., Named], tuple[Any, ...]]:
        return _rebuild, (self.name, self.settings)


def named[**P](constructor: Callable[P, optax.GradientTransformation]) -> Callable[P, Named]:
    """Register a constructor of an optax transformation under its own name."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def build(*args: P.args, **kwargs: P.kwargs) -> Named:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        settings = {
            key: _setting(constructor.__name__, key, value)
            for key, value in bound.arguments.items()
        }
        transformation = optax.with_extra_args_support(constructor(**settings))  # type: ignore[call-arg]
        result = Named(transformation.init, transformation.update)
        result.name = constructor.__name__
        result.settings = settings
        return result

    OPTIMIZERS[constructor.__name__] = build
    return build


def _setting(name: str, key: str, value: Any) -> Any:
    """The setting as a plain number, or a schedule as it is; anything else is refused."""
    if callable(value):
        return value
    if isinstance(value, bool | str) or np.ndim(value) != 0 or not np.isrealobj(value):
        raise TypeError(
            f"{name}({key}={value!r}): expected a number{' or a schedule' * (key == 'learning_rate')}."
        )
    try:
        number = value if isinstance(value, int | float) else np.asarray(value).item()
        positive = number >= 0 and (key != "learning_rate" or number > 0)
    except TypeError:
        raise TypeError(f"{name}({key}={value!r}): expected a number.") from None
    if not positive:
        raise ValueError(f"{name}({key}={value!r}): must be positive.")
    return number


def _rebuild(name: str, settings: dict[str, Any]) -> Named:
    return OPTIMIZERS[name](**settings)


def name_of(item: Any) -> str:
    """A name of any object for messages."""
    if isinstance(item, Named):
        return repr(item)
    named = getattr(item, "__name__", None)
    return str(named) if named else f"{type(item).__module__}.{type(item).__name__}"
