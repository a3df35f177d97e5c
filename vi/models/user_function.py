"""A user's JAX function, traced before anything is built on it: what it returns or must not do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.arrays import first_not_finite
from vi.foundation.compiling import called_afresh
from vi.foundation.tracing_errors import TRACING_ERRORS, first_line, what_tracing_met

__all__ = ["check_batches", "is_pair", "trace", "value_at"]

LIBRARY = f"{Path(__file__).parents[1]}/"
"""The library's own files, of which no error in a user's function speaks."""


def trace(fn: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The structure of what a log density returns: a scalar, or a pair of scalars.

    Raises
    ------
    TypeError, ValueError
        If it cannot be traced, or returns something else; the message says what.
    """
    first, second = (_abstract(fn, arguments) for _ in range(2))
    structure: Any = jax.tree.structure(first)
    same = structure == jax.tree.structure(second) and all(
        (a.shape, a.dtype) == (b.shape, b.dtype)
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )
    if not same:
        raise ValueError(
            f"The log density returned {_words(first)} when it was called first, and "
            f"{_words(second)} the second time. It must be a function of its arguments alone."
        )
    leaves = jax.tree.leaves(first)
    if not (_is_leaf(first) or is_pair(first)):
        raise TypeError(
            "The log density must return a scalar, or a pair (log_prior, log_likelihood) of "
            f"scalars; it returns {_words(first)}."
        )
    for leaf in leaves:
        if leaf.shape != ():
            raise ValueError(
                f"The log density must return a scalar; it returns an array of shape {leaf.shape}. "
                "Sum it over what it has one entry for: jnp.sum(...). It is called with one point; "
                "the library does the vmap."
            )
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"The log density must return a floating-point number; it returns {leaf.dtype}."
            )
    return first


def is_pair(returned: Any) -> bool:
    """Whether a log density returns a pair."""
    return (
        isinstance(returned, tuple | list)
        and len(returned) == 2
        and all(hasattr(item, "shape") for item in returned)
    )


def value_at(
    fn: Callable[..., jax.Array],
    arguments: Sequence[Any],
    shown: str,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Refuse a log density that is not finite at the start, and say which data are not finite."""
    try:
        with _in_plain_words("This happened in the log density, called with the leaves of init."):
            value = float(called_afresh(jax.jit(_anew(fn)), *arguments))
    except ValueError as error:
        if "Cannot lower jaxpr" not in str(error):
            raise
        raise ValueError(
            "JAX cannot compile the log density: NumPy arrays that it has in its closure were used "
            "by another function in another precision before. Use jnp.asarray(array) in the "
            "function, or hand the arrays over as data=."
        ) from error
    if not np.isfinite(value):
        said = {name: first_not_finite(array) for name, array in (data or {}).items()}
        listed = "; ".join(f"{name} {what}" for name, what in said.items() if what)
        advice = f"Look at the data: {listed}." if listed else "Start where it is finite."
        raise ValueError(f"The log density is {value} at init: {shown}. {advice}")


def check_gradient(
    fn: Callable[..., jax.Array], arguments: Sequence[Any], of: Collection[Any]
) -> None:
    """Refuse a log density that JAX cannot differentiate in the first arguments, those in ``of``.

    Nothing is computed. Without this the first step says so, in the words of JAX's machinery.
    """
    try:
        called_afresh(
            lambda *leaves: jax.eval_shape(jax.grad(_anew(fn), range(len(of))), *leaves), *arguments
        )
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"JAX cannot differentiate the log density: {first_line(error)} ({_place(error)}). "
            "Loops with a fixed number of rounds can be differentiated (jax.lax.scan, or fori_loop "
            "with plain integers), while_loop cannot; calls into other libraries (pure_callback) "
            "need a derivative of their own, jax.custom_vjp, or a formula in jax.numpy."
        ) from error


def check_batches(
    fn: Callable[..., tuple[Any, Any]], points: Sequence[Any], data: Any, size: int
) -> None:
    """Refuse pairs for which N / B is wrong at one of some points.

    Points where the density is not finite say nothing. The prior must not change with the rows,
    and the log likelihood of rows must be the sum of those of any two parts.
    """
    generator = np.random.default_rng(0)
    n = len(jax.tree.leaves(data)[0])
    if n <= size:
        return
    jitted = jax.jit(_anew(fn))
    for params in points:
        order = generator.permutation(n)[: min(n, 4 * size)]
        pieces = [order, order[:size], order[size:]]
        pairs = [
            jitted(params, jax.tree.map(lambda leaf, rows=rows: leaf[rows], data))
            for rows in pieces
        ]
        priors, (whole, one, other) = (
            [float(pair[0]) for pair in pairs],
            [float(pair[1]) for pair in pairs],
        )
        if not np.all(np.isfinite([*priors, whole, one, other])):
            continue
        tolerance = 1e-6 if jnp.asarray(pairs[0][1]).dtype == np.float64 else 1e-3
        if not np.allclose(priors, priors[0], rtol=tolerance, atol=tolerance):
            raise ValueError(
                f"log_prior, the first of the pair, changes with the rows: {priors[1]:.6g} and "
                f"{priors[2]:.6g} for two parts of the data. It is not scaled by N / B; put what "
                "depends on data into the second."
            )
        if not abs(whole - one - other) <= tolerance * (1 + abs(whole) + abs(one) + abs(other)):
            raise ValueError(
                f"log_likelihood, the second of the pair, is {whole:.6g} for {len(order)} rows and "
                f"{one:.6g} + {other:.6g} for their two parts, so that no scale makes a batch's "
                "right. It must be a sum over rows: no mean, and nothing computed from several "
                "rows (do that before, from all the data)."
            )


def _abstract(fn: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), list(arguments)
    )
    names = ", ".join(("params", "data")[: len(arguments)])
    described = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", shapes)
    with _in_plain_words(
        f"This happened in the log density, called as fn({names}) with {described}."
    ):
        returned = jax.eval_shape(_anew(fn), *shapes)
    if returned is None:
        raise TypeError("The log density returns None: is a `return` missing?")
    return returned


@contextlib.contextmanager
def _in_plain_words(where: str) -> Iterator[None]:
    """Say what a tracer was used for, and where any other error happened."""
    try:
        yield
    except TRACING_ERRORS as error:
        raise TypeError(f"The log density: {what_tracing_met(error)}. ({_place(error)})") from error
    except Exception as error:
        if _is_in_numpyro(error):
            raise TypeError(
                "The log density is a NumPyro model (it calls numpyro.sample), and returns no log "
                "density. Give it as vi.fit(model=vi.targets.from_numpyro(model, ...))."
            ) from error
        if "Tracer" in str(error):
            error.add_note(
                "The log density uses a value where JAX has only its shape and type while it "
                "compiles the function (a tracer). To print values: jax.debug.print('{}', x)."
            )
        error.add_note(where)
        raise


def _is_in_numpyro(error: BaseException) -> bool:
    """Whether it was raised by a statement of a NumPyro model, outside of NumPyro's handlers."""
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_globals.get("__name__") == "numpyro.primitives":
            return True
        at = at.tb_next
    return False


def _anew(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one that JAX has not traced yet."""

    def called(*arguments: Any) -> Any:
        return fn(*arguments)

    return called


def _is_leaf(returned: Any) -> bool:
    return bool(jax.tree_util.all_leaves([returned]))


def _place(error: BaseException) -> str:
    """The line of the user's function at which it happened, as far as it is known."""
    at, place = error.__traceback__, ""
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        if not (file.startswith(LIBRARY) or "/jax/" in file or "<frozen" in file):
            place = f"{file}, line {at.tb_lineno}"
        at = at.tb_next
    return f"{type(error).__name__} at {place}" if place else type(error).__name__


def _words(returned: Any) -> str:
    leaves = jax.tree.leaves(returned)
    if _is_leaf(returned):
        return f"{leaves[0].dtype}{list(leaves[0].shape)}"
    described = ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves) or "nothing"
    return f"{type(returned).__name__} of {described}"
