"""Constraints on the leaves of a pytree, in words or as objects, turned into PyMC transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pytensor.tensor as pt
from pymc.distributions import transforms
from pymc.logprob.transforms import Transform

from vi.graphs.interpret import interpret
from vi.models.numpyro_transform import NumpyroTransform, is_constraint

__all__ = ["check_inside", "moved", "path_name", "transforms_by_name"]

WORDS: dict[str, Transform | None] = {
    "real": None,
    "positive": transforms.log,
    "unit_interval": transforms.logodds,
    "simplex": transforms.simplex,
    "ordered": transforms.ordered,
}
"""What a constraint may be called."""

_ACCEPTED = (
    f"{', '.join(map(repr, WORDS))}, ('bounded', low, high), a transform of "
    "pymc.distributions.transforms, or a constraint of numpyro.distributions.constraints"
)


def path_name(path: Any) -> str:
    """The name of a leaf by its path in a pytree: ``"layers.0.w"``, ``""`` for a bare array."""
    return jax.tree_util.keystr(path, simple=True, separator=".").replace("/", ".")


def transforms_by_name(constraints: Any, start: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The transform of every leaf that has one.

    Parameters
    ----------
    constraints : constraint, dict or pytree
        A constraint for all leaves, a dict of them by path, or a prefix of the pytree; the longest
        path decides.
    start : dict of {str: array}
        The leaves by name.

    Raises
    ------
    ValueError, TypeError
        If a path is that of no leaf, a constraint is unknown, or does not suit the shape of its
        leaf.
    """
    by_path = {
        path_name(path): spec
        for path, spec in jax.tree_util.tree_leaves_with_path(constraints, is_leaf=_is_spec)
    }
    chosen: dict[str, Any] = {}
    for path in sorted(by_path, key=len):
        names = [name for name in start if path in ("", name) or name.startswith(f"{path}.")]
        if not names:
            raise ValueError(
                f"constraints has an entry for {path!r}, which is no leaf of init. Its leaves: "
                f"{', '.join(start)}."
            )
        chosen |= dict.fromkeys(names, by_path[path])
    pairs = ((name, _transform(spec, name, start[name])) for name, spec in chosen.items())
    return {name: transform for name, transform in pairs if transform is not None}


def check_inside(name: str, value: np.ndarray, transform: Transform, constraint: str) -> None:
    """Refuse a start outside its constraint: the transform there and back must return it."""
    symbolic = pt.as_tensor(value.astype("float64"))
    with np.errstate(all="ignore"):
        there = transform.forward(symbolic)
        there, back = interpret([], [there, transform.backward(there)], [])
    if not (np.all(np.isfinite(there)) and np.allclose(back, value, rtol=1e-4, atol=1e-6)):
        shown = np.array2string(np.asarray(value), threshold=6, precision=4)
        raise ValueError(
            f"init[{name!r}] = {shown} lies outside its constraint, {constraint}. Give a start "
            "inside."
        )


def moved(
    value: np.ndarray, transform: Transform | None, generator: np.random.Generator
) -> np.ndarray:
    """A value beside another one, inside the constraint.

    It is up to 0.5 away in every entry of the unconstrained space.
    """
    if transform is None:
        return (value + generator.uniform(-0.5, 0.5, value.shape)).astype(value.dtype)
    (there,) = interpret([], [transform.forward(pt.as_tensor(value.astype("float64")))], [])
    (back,) = interpret(
        [],
        [transform.backward(pt.as_tensor(there + generator.uniform(-0.5, 0.5, there.shape)))],
        [],
    )
    return np.asarray(back, value.dtype)


def _is_spec(item: Any) -> bool:
    named = isinstance(item, tuple) and len(item) > 0 and isinstance(item[0], str)
    return named or isinstance(item, str | Transform) or is_constraint(item)


def _transform(spec: Any, name: str, value: np.ndarray) -> Transform | None:
    transform: Any
    shape = value.shape
    if isinstance(spec, str) and spec in WORDS:
        transform = WORDS[spec]
    elif isinstance(spec, tuple) and len(spec) == 3 and spec[0] == "bounded":
        transform = _interval(name, *spec[1:])
    elif isinstance(spec, Transform):
        transform = spec
    elif is_constraint(spec):
        return NumpyroTransform.of(spec, shape, value.dtype)
    else:
        raise ValueError(f"constraints[{name!r}] = {spec!r} is unknown; accepted are {_ACCEPTED}.")
    if transform in (transforms.simplex, transforms.ordered) and (not shape or shape[-1] < 2):
        raise ValueError(
            f"constraints[{name!r}] = {spec!r} is one of the last axis, which needs 2 entries or "
            f"more; the leaf has shape {shape}."
        )
    return transform


def _interval(name: str, low: Any, high: Any) -> Transform:
    for bound in (low, high):
        if bound is not None and (
            isinstance(bound, bool) or not isinstance(bound, int | float | np.number)
        ):
            raise TypeError(
                f"constraints[{name!r}]: a bound must be a number or None, got {bound!r}."
            )
    if low is None and high is None:
        raise ValueError(
            f"constraints[{name!r}]: ('bounded', None, None) bounds nothing; leave it out."
        )
    if low is not None and high is not None and not low < high:
        raise ValueError(
            f"constraints[{name!r}] = ('bounded', {low}, {high}): the first must be the smaller "
            "one."
        )
    # a Python int would be taken for a float32 in the logarithms of the transform
    low, high = (None if bound is None else np.float64(bound) for bound in (low, high))
    return transforms.Interval(low, high)
