"""Optimisers that know their name and settings, so that a run is resumed without stored code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np
import optax

from vi.foundation.registry import Registry

__all__ = ["OPTIMIZERS", "Named", "name_of", "with_settings"]

P = ParamSpec("P")


class Named(optax.GradientTransformationExtraArgs):
    """An optax transformation with a name and settings.

    Equal settings make equal objects, which share compiled code. It is an ordinary ``(init,
    update)`` pair: ``optax.chain`` and every other wrapper take it.
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


OPTIMIZERS: Registry[Callable[..., Named]] = Registry("optimiser")
"""The optimisers' constructors by name: ``obj_optimizer=`` takes the names, files hold them,
contract tests run over all that are registered."""


def with_settings[**P](
    constructor: Callable[P, optax.GradientTransformation],
) -> Callable[P, Named]:
    """Let a constructor of optax transformations make ones that know their name and settings.

    Parameters
    ----------
    constructor : callable
        Its arguments are the settings: numbers of at least 0, ``bool`` and texts where the default
        is one, schedules, and other optimisers (which it wraps). All but those that it wraps have
        defaults.

    Examples
    --------
    An optimiser that wraps another, known to ``obj_optimizer=`` and to files:

    >>> import optax, vi
    >>> from vi.optimizers import OPTIMIZERS, with_settings
    >>> @OPTIMIZERS.register
    ... @with_settings
    ... def limited(optimizer, max_norm=1.0):
    ...     return optax.chain(optax.clip_by_global_norm(max_norm), optimizer)
    >>> limited(vi.sgd(0.1))
    limited(optimizer=sgd(learning_rate=0.1), max_norm=1.0)
    """
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def build(*args: P.args, **kwargs: P.kwargs) -> Named:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        settings = {
            key: _setting(constructor.__name__, signature.parameters[key], value)
            for key, value in bound.arguments.items()
        }
        transformation = optax.with_extra_args_support(constructor(**settings))  # type: ignore[call-arg]
        result = Named(transformation.init, transformation.update)
        result.name = constructor.__name__
        result.settings = settings
        return result

    return build


def _setting(name: str, parameter: inspect.Parameter, value: Any) -> Any:
    """The setting as a plain number, or what else a setting can be as it is; refuse the rest."""
    key, default = parameter.name, parameter.default
    if callable(value) or is_optimizer(value) or (value is None and default is None):
        return value
    shown = f"{name}({key}={value!r})"
    if isinstance(default, bool | str):
        if type(value) is not type(default):
            raise TypeError(f"{shown}: expected a {type(default).__name__}.")
        return value
    if isinstance(value, bool | str) or np.ndim(value) != 0 or not np.isrealobj(value):
        raise TypeError(f"{shown}: expected a number{' or a schedule' * (key == 'learning_rate')}.")
    try:
        number = value if isinstance(value, int | float) else np.asarray(value).item()
        positive = number >= 0 and (key != "learning_rate" or number > 0)
    except TypeError:
        raise TypeError(f"{shown}: expected a number.") from None
    if not positive:
        raise ValueError(f"{shown}: must be positive.")
    return number


def is_optimizer(item: Any) -> bool:
    """Whether something is an optax transformation: a pair of ``init`` and ``update``."""
    return hasattr(item, "init") and hasattr(item, "update")


def _rebuild(name: str, settings: dict[str, Any]) -> Named:
    return OPTIMIZERS[name](**settings)


def name_of(item: Any) -> str:
    """A name of any object for messages."""
    if isinstance(item, Named):
        return repr(item)
    name = getattr(item, "__name__", None)
    return str(name) if name else f"{type(item).__module__}.{type(item).__name__}"
