"""The table of models, and what of a model may be compared."""

from __future__ import annotations

from collections.abc import Callable

import pymc as pm

__all__ = ["INVARIANT", "USER_MODELS", "named", "unlabelled"]

USER_MODELS: dict[str, Callable[[], pm.Model]] = {}
"""Functions that build a model, by name."""

INVARIANT: dict[str, tuple[str, ...]] = {}
"""Of models whose coordinates can change places: the variables that do not notice."""


def named(build: Callable[[], pm.Model]) -> Callable[[], pm.Model]:
    """Put a function into the table."""
    USER_MODELS[build.__name__] = build
    return build


def unlabelled(
    *variables: str,
) -> Callable[[Callable[[], pm.Model]], Callable[[], pm.Model]]:
    """Put a function into the table whose model has modes that differ in labels or signs alone."""

    def decorate(build: Callable[[], pm.Model]) -> Callable[[], pm.Model]:
        INVARIANT[build.__name__] = variables
        return named(build)

    return decorate
