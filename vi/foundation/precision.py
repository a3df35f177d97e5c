"""Precision of a run: JAX's 64-bit switch in its scoped form, never the process-wide one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytensor
from jax.sharding import Mesh

from vi.foundation.compile_cache import code_on_disk

__all__ = ["precision", "resolve_dtype"]


def resolve_dtype(dtype: str | np.dtype | type | None) -> np.dtype:
    """Floating-point type of a run.

    Parameters
    ----------
    dtype : {"float64", "float32"} or None
        ``None`` takes PyTensor's ``floatX`` (``"float64"`` unless the user changed it).

    Returns
    -------
    numpy.dtype

    Raises
    ------
    ValueError
        If the type is neither ``float32`` nor ``float64``.
    """
    wanted = pytensor.config.floatX if dtype is None else dtype
    try:
        name = np.dtype(wanted).name
    except TypeError:
        name = ""
    if name not in ("float32", "float64"):
        raise ValueError(
            f"dtype={dtype!r} is not a precision of a fit; use 'float64' or 'float32' (None: "
            "floatX)."
        )
    return np.dtype(name)


@contextlib.contextmanager
def precision(dtype: np.dtype) -> Iterator[None]:
    """Run the enclosed JAX code in ``dtype``, outside of ``jax.set_mesh``, with our compiled code.

    The process-wide settings do not matter, and are left as they are; see
    :func:`vi.foundation.compile_cache.cache_dir` for the compiled code.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np
    >>> with precision(np.dtype("float64")):
    ...     jnp.zeros(2).dtype.name
    'float64'
    """
    if np.dtype(dtype).itemsize == 8:
        with jax.enable_x64(True), _no_mesh(), code_on_disk():
            yield
        return
    with jax.enable_x64(False), _no_mesh(), code_on_disk(), warnings.catch_warnings():
        # A float64 graph traced in float32 asks for float64 casts that JAX rightly truncates.
        warnings.filterwarnings(
            "ignore", message="Explicitly requested dtype", category=UserWarning
        )
        yield


def _no_mesh() -> contextlib.AbstractContextManager[Any]:
    """Leave the mesh of ``jax.set_mesh``.

    New arrays would be spread over it, and arrays that lie elsewhere be refused.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return contextlib.nullcontext()
    empty: contextlib.AbstractContextManager[Any] = jax.set_mesh(Mesh(np.empty((), object), ()))
    return empty
