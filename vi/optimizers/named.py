"""Optimisers that know their name and settings, so that a run is resumed without stored code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np
import optax
from pytensor.graph.basic import Variable

from vi.foundation.numbers import number
from vi.foundation.registry import Registry

__all__ = ["OPTIMIZERS", "Named", "knows_frames", "name_of", "with_settings"]

P = ParamSpec("P")


class Named(optax.GradientTransformationExtraArgs):
    """An optax transformation with a name and settings.

    Equal settings make equal objects, which share compiled code. It is an ordinary ``(init,
    update)`` pair: ``optax.chain`` and every other wrapper take it.
    """

    maker: Callable[..., Named]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """The name it is registered under, or that of the function that made it."""
        return OPTIMIZERS.name_of(self.maker) or self.maker.__name__

    def _replace(self, **parts: Any) -> optax.GradientTransformationExtraArgs:
        # with another init or update it is no longer what its settings say
        return optax.GradientTransformationExtraArgs(**{**self._asdict(), **parts})

    def __eq__(self, other: object) -> bool:
        # by the function, not by its name: two users' functions may have one name
        return isinstance(other, Named) and (
            self.maker is other.maker and self.settings == other.settings
        )

    def __hash__(self) -> int:
        return hash((self.maker, tuple(sorted(self.settings))))

    def __repr__(self) -> str:
        return (
            f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.settings.items())})"
        )

    def __reduce__(self) -> tuple[Callable[..., Named], tuple[Any, ...]]:
        return _rebuild, (OPTIMIZERS.name_of(self.maker) or self.maker, self.settings)


def _check_maker(item: Any) -> None:
    """Refuse a function whose optimisers would not know their settings: files would lose them."""
    if not getattr(item, "_vi_with_settings", False):
        name = getattr(item, "__name__", repr(item))
        raise TypeError(
            f"{name} makes optimisers that do not know their settings: write @OPTIMIZERS.register "
            "above @with_settings, in this order, and both above the function."
        )


OPTIMIZERS: Registry[Callable[..., Named]] = Registry("optimiser", check=_check_maker)
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
        defaults. They are kept by name: ``**settings`` may be among them, ``*args`` not.

    Raises
    ------
    TypeError
        If it is no function, or takes arguments that have no names. The constructor raises it for
        a setting of the wrong kind, and where no optimiser comes out.

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
    if not callable(constructor):
        raise TypeError(
            f"with_settings({constructor!r}): give the function that makes the optimiser, not an "
            "optimiser."
        )
    signature = inspect.signature(constructor)
    unnamed = [p.name for p in signature.parameters.values() if p.kind in _UNNAMED]
    if unnamed:
        raise TypeError(
            f"{constructor.__name__} takes {', '.join(unnamed)} by position alone, and settings "
            "are kept by name; name every argument."
        )
    rest = [p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]

    @functools.wraps(constructor)
    def build(*args: P.args, **kwargs: P.kwargs) -> Named:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:  # Python's own words, which name no function
            takes = ", ".join(signature.parameters)
            raise TypeError(f"{constructor.__name__}() {error}. It takes {takes}.") from None
        bound.apply_defaults()
        given = dict(bound.arguments)
        for name in rest:
            given |= given.pop(name)
        settings = {
            key: _setting(constructor.__name__, key, signature.parameters.get(key), value)
            for key, value in given.items()
        }
        transformation = _made(constructor, settings)
        result = Named(transformation.init, transformation.update)
        result.maker = build
        result.settings = settings
        return result

    build._vi_with_settings = True  # type: ignore[attr-defined]
    return build


_UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)


def _made(
    constructor: Callable[..., Any], settings: dict[str, Any]
) -> optax.GradientTransformationExtraArgs:
    """What a constructor makes of settings; what it raises and returns, in the user's terms."""
    name = constructor.__name__
    shown = f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"
    try:
        made = constructor(**settings)
    except (AttributeError, TypeError) as error:
        parameters = inspect.signature(constructor).parameters
        odd = [
            key
            for key, p in parameters.items()
            if p.default is p.empty and key in settings and not is_optimizer(settings[key])
        ]
        if not odd:
            raise
        raise TypeError(
            f"{shown}: {type(error).__name__}: {error}. Where {odd[0]} is another optimiser that "
            f"it wraps, give one, {odd[0]}=vi.adam()."
        ) from error
    if not is_optimizer(made):
        raise TypeError(
            f"{shown} must return an optax transformation, got "
            f"{'nothing' if made is None else repr(made)}."
        )
    return optax.with_extra_args_support(made)


def _setting(name: str, key: str, parameter: inspect.Parameter | None, value: Any) -> Any:
    """The setting as a plain number, or what else a setting can be as it is; refuse the rest.

    One of ``**settings`` has no parameter of its own, and is of whatever kind it is.
    """
    default = value if parameter is None else parameter.default
    if isinstance(value, Variable):
        raise TypeError(
            f"{name}({key}={value}): a PyTensor variable would be read once, and what is written "
            "into it later not be seen. Give a number, or for a rate that changes a schedule, a "
            f"function of the step: {name}({key}=optax.exponential_decay(1e-2, 1000, 0.5))."
        )
    if callable(value) or is_optimizer(value) or (value is None and default is None):
        return value
    shown = f"{name}({key}={value!r})"
    if isinstance(default, bool | str):
        if type(value) is not type(default):
            raise TypeError(f"{shown}: expected a {type(default).__name__}.")
        return value
    if isinstance(value, bool | str) or np.ndim(value) != 0 or not np.isrealobj(value):
        what = " or a schedule" * (key == "learning_rate")
        if default is inspect.Parameter.empty:
            what = " or an optimiser, vi.adam()"
        raise TypeError(f"{shown}: expected a number{what}.")
    try:
        plain = value if isinstance(value, int | float) else np.asarray(value).item()
        plain >= 0  # noqa: B015 (raises for what is no number)
    except TypeError:
        raise TypeError(f"{shown}: expected a number.") from None
    above, least = (0.0, None) if key == "learning_rate" else (None, 0.0)
    number(f"{name}({key}", plain, above=above, least=least)
    return plain


def is_optimizer(item: Any) -> bool:
    """Whether something is an optax transformation: a pair of ``init`` and ``update``."""
    return hasattr(item, "init") and hasattr(item, "update")


def knows_frames(optimizer: optax.GradientTransformation) -> bool:
    """Whether an optimiser makes its steps in the family's frame: ``update`` names ``frame``."""
    return "frame" in inspect.signature(optimizer.update).parameters


def _rebuild(maker: str | Callable[..., Named], settings: dict[str, Any]) -> Named:
    return (OPTIMIZERS[maker] if isinstance(maker, str) else maker)(**settings)


def name_of(item: Any) -> str:
    """A name of any object for messages."""
    if isinstance(item, Named):
        return repr(item)
    name = getattr(item, "__name__", None)
    return str(name) if name else f"{type(item).__module__}.{type(item).__name__}"
