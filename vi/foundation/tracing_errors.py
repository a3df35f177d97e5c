"""What went wrong while JAX traced a user's function, in the user's words."""

from __future__ import annotations

from jax import errors

__all__ = ["TRACING_ERRORS", "first_line", "what_tracing_met"]

TRACING_ERRORS = (
    errors.ConcretizationTypeError,
    errors.NonConcreteBooleanIndexError,
    errors.TracerArrayConversionError,
    errors.TracerIntegerConversionError,
    errors.UnexpectedTracerError,
)
"""What JAX raises where code needs the numbers behind values that it only traces."""

_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (
        errors.TracerArrayConversionError,
        (
            "a function of NumPy, SciPy or another library was given a value that JAX only traces, "
            "so that it has no "
            "numbers yet: use jax.numpy, jax.scipy or another function of JAX in its place "
            "(jax.debug.print to print)"
        ),
    ),
    (
        errors.NonConcreteBooleanIndexError,
        (
            "an array is indexed by a condition on traced values, so that its length is not known: "
            "use "
            "jnp.where(condition, value, 0.0)"
        ),
    ),
    (
        errors.UnexpectedTracerError,
        (
            "a traced value was kept outside of the function (in a list, an attribute, a global "
            "variable) and used "
            "again: return it instead (jax.debug.print to look at it)"
        ),
    ),
    (
        errors.TracerBoolConversionError,
        (
            "an `if`, `while`, `and`, `or` or `assert` asks for the truth of a traced value, which "
            "has no number yet: "
            "use jnp.where or jax.lax.cond; what decides a branch but is not a variable goes in as "
            "a plain Python "
            "argument, which is static"
        ),
    ),
    (
        errors.JAXTypeError,
        (
            "Python needs the number behind a traced value, for float(), int(), range(), a shape "
            "or an index: use "
            "x.astype(float), jax.lax.scan or a fixed length; what decides shapes goes in as a "
            "plain Python argument, "
            "which is static (jax.debug.print to print)"
        ),
    ),
)


def what_tracing_met(error: BaseException) -> str:
    """A sentence on an error while JAX traced a function: what happened, and what to do.

    Examples
    --------
    >>> import jax, numpy as np
    >>> try:
    ...     jax.jit(lambda x: np.sin(x))(1.0)
    ... except jax.errors.TracerArrayConversionError as error:
    ...     print(what_tracing_met(error)[:45])
    a function of NumPy, SciPy or another library
    """
    said = (str(error).strip().splitlines() or [""])[0][:300]
    original = f"{type(error).__name__}: {said.rstrip('.')}"
    advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), None)
    return original if advice is None else f"{advice} ({original})"


def first_line(error: BaseException) -> str:
    """What an error says, shortened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
