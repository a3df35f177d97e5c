"""What the functions of a family must return: traced once, before an approximation is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.composed.encoder import Encoded
from vi.families.composed.per_row import PerRow
from vi.families.composed.product import Product
from vi.families.family import Family, Params
from vi.foundation.contracts import is_foreign, said, traced

__all__ = ["check_families"]


def check_families(family: Family, dim: int, dtype: np.dtype) -> None:
    """Refuse a user's family whose functions do not return what the library needs.

    JAX broadcasts a wrong shape silently, or speaks of it far from the function. Only ``init`` is
    computed, the rest is traced; vi's own families are not looked at, those inside of products and
    rows are.

    Parameters
    ----------
    family : Family
        The family of the approximation.
    dim : int
        Length ``D`` of the flat vector.
    dtype : numpy.dtype
        Precision of the fit.

    Raises
    ------
    TypeError
        With the name of the family, the function, what it returned and what it should return.
    """
    looked_at: set[tuple[Family, int]] = set()
    for part, length in _within(family, dim):
        base = getattr(part, "base", part)
        if is_foreign(part, base) and part.has_density and (part, length) not in looked_at:
            looked_at.add((part, length))
            _check(part, length, dtype)


def _within(family: Family, dim: int) -> Iterator[tuple[Family, int]]:
    """The families that one is made of, each with the length of its draws."""
    if isinstance(family, Product):
        for part in family.parts:
            yield from _within(part.family, len(part.entries))
    elif isinstance(family, Encoded):
        yield from _within(family.family, family.dim)
    elif isinstance(family, PerRow):
        yield from _within(family.family, dim // family.rows)
    else:
        yield family, dim


def _check(family: Family, dim: int, dtype: np.dtype) -> None:
    name = getattr(family, "short_name", None)
    if not isinstance(name, str):
        raise TypeError(
            f"{type(family).__name__} has short_name = {name!r}: give the class a name, a text in "
            "lower case, for messages and files."
        )
    if hasattr(family, "base"):  # a user's base of one of vi's families, perhaps
        name = f"{name} of base {type(family.base).__name__}"
    params = _checked_start(family, name, dim, dtype)
    noise = traced(
        f"noise(key, params) of the family {name!r}", family.noise, jax.random.key(0), params
    )
    z = jax.ShapeDtypeStruct((dim,), dtype)
    vector, matrix, scalar = (dim,), (dim, dim), ()
    _expect(name, "draw(params, noise)", family.draw, (params, noise), vector)
    _expect(name, "log_prob(params, z)", family.log_prob, (params, z), scalar)
    pair = traced(
        f"draw_and_log_prob(params, noise) of the family {name!r}",
        family.draw_and_log_prob,
        params,
        noise,
    )
    if (
        not isinstance(pair, tuple)
        or len(pair) != 2
        or _shape(pair[0]) != vector
        or _shape(pair[1]) != scalar
    ):
        raise TypeError(
            f"draw_and_log_prob(params, noise) of the family {name!r} must return a draw "
            f"{vector} and its log q (), got {said(pair)}."
        )
    entropy = traced(f"entropy(params) of the family {name!r}", family.entropy, params)
    if entropy is not None and _shape(entropy) != scalar:
        raise TypeError(
            f"entropy(params) of the family {name!r} must return one number, or None where there "
            f"is no formula; got {said(entropy)}."
        )
    for what, function, shape in (
        ("mean(params)", family.mean, vector),
        ("std(params)", family.std, vector),
        ("cov(params)", family.cov, matrix),
    ):
        try:
            got = jax.eval_shape(function, params)
        except Exception:  # noqa: BLE001 (whoever asks for the moment sees what it raises)
            continue
        if _shape(got) != shape:
            raise TypeError(
                f"{what} of the family {name!r} must return an array {shape}, got {said(got)}."
            )
    units = traced(f"units(params) of the family {name!r}", family.units, params)
    like = {key: jnp.shape(value) for key, value in params.items()}
    if not isinstance(units, Mapping) or like != {k: _shape(value) for k, value in units.items()}:
        raise TypeError(
            f"units(params) of the family {name!r} must return the unit of every entry of every "
            f"parameter, like {said(params)}; got {said(units)}."
        )


def _checked_start(family: Family, name: str, dim: int, dtype: np.dtype) -> Params:
    """What ``init`` returns."""
    params = family.init(jnp.zeros(dim, dtype), jnp.ones(dim, dtype), jax.random.key(0))
    if not isinstance(params, dict) or not params:
        raise TypeError(
            f"init() of the family {name!r} must return a dict of arrays by name, got "
            f"{said(params)}."
        )
    wrong = {
        key: value
        for key, value in params.items()
        if not isinstance(key, str)
        or not isinstance(value, jax.Array | np.ndarray)
        or not jnp.issubdtype(value.dtype, np.floating)
    }
    if wrong:
        raise TypeError(
            f"init() of the family {name!r} must return arrays of floating-point numbers by name, "
            f"got {said(wrong)}."
        )
    return params


def _expect(
    name: str,
    what: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    shape: tuple[int, ...],
) -> None:
    got = traced(f"{what} of the family {name!r}", function, *arguments)
    if _shape(got) != shape:
        raise TypeError(
            f"{what} of the family {name!r} must return an array {shape}, got {said(got)}."
        )


def _shape(value: Any) -> Any:
    return getattr(value, "shape", None)
