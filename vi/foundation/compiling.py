"""How functions are compiled: with options that this XLA knows, and once more where JAX trips."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["HASTY", "called_afresh", "effort_for", "jitted", "known_options"]

HASTY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Options for what is called a few times on little data: the compiler's time is what it takes."""

FEW = 10**6
"""Numbers up to which making them takes less time than the compiler saves by haste: some 0.1 s."""


def effort_for(numbers: int) -> dict[str, Any]:
    """XLA's options for code that makes so many numbers in a call, and is called a few times."""
    return known_options(*HASTY.items()) if numbers <= FEW else {}


def jitted[**P, T](
    function: Callable[P, T], options: dict[str, Any] | None = None
) -> Callable[P, T]:
    """`jax.jit` of what may read arrays of a model: each call is made by `called_afresh`.

    Parameters
    ----------
    function : callable
        What is compiled.
    options : dict, optional
        XLA's, left out where this XLA does not know them.
    """
    known = known_options(*options.items()) if options else {}
    compiled = jax.jit(function, compiler_options=known)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        result: T = called_afresh(functools.partial(compiled, **kwargs), *args)
        return result

    return call


@functools.cache
def known_options(*options: tuple[str, Any]) -> dict[str, Any]:
    """The options, or none where this XLA does not know one of them."""
    try:
        jax.jit(jnp.negative, compiler_options=dict(options)).lower(jnp.zeros(())).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(options)


def called_afresh[T](function: Callable[..., T], *arguments: Any) -> T:
    """Call a compiled function that may read NumPy arrays which JAX has met in another precision.

    JAX 0.12 keeps a NumPy array that a function closes over in the precision in which it met it
    first, as long as any code lives that was traced with it, and builds invalid code in another
    precision. When that happens all traced code is dropped, which costs compilations only.
    """
    try:
        return function(*arguments)
    except ValueError as error:
        if "verifier errors" not in str(error):
            raise
    # outside of the handler: the error holds on to the traced code
    jax.clear_caches()
    gc.collect()
    return function(*arguments)
