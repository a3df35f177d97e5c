"""JAX functions for PyMC models: PyTensor's wrapper around the library's operation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytensor
from pytensor.graph.basic import Apply, Variable

from vi.foundation.numbers import flag
from vi.foundation.precision import precision
from vi.foundation.tracing_errors import TRACING_ERRORS, what_tracing_met
from vi.graphs.wrapped_jax import jax_op_node

__all__ = ["wrap_jax"]


def wrap_jax(
    function: Callable[..., Any] | None = None, *, allow_eval: bool = True
) -> Callable[..., Any]:
    r"""Make a JAX function take and return PyTensor variables, with gradients.

    ``pytensor.wrap_jax`` does the same, and :func:`vi.fit` takes functions that are wrapped by it
    as well. What this one adds holds outside of :func:`vi.fit` too, in ``pm.sample`` or
    ``model.compile_logp``: value and gradient of a scalar :math:`f(x)` come out of one call,

    .. math:: (f(x), \nabla f(x)),

    float64 inputs are computed in float64 whether or not JAX's 64-bit mode is on, the function is
    vectorised by ``jax.vmap``, and what JAX cannot trace is said in plain words.

    Parameters
    ----------
    function : callable
        A function of JAX arrays, or an object that is called like one. Its arguments may be pytrees
        whose leaves are PyTensor variables; all other leaves (numbers, strings, NumPy arrays) are
        static: they reach the function as they are. It returns an array or a pytree of arrays.
    allow_eval : bool
        Whether shapes that are not known from the graph may be found by evaluating it.

    Returns
    -------
    callable
        The same function for PyTensor variables. In code that is compiled to JAX it is the JAX
        function itself.

    Raises
    ------
    TypeError
        When it is called, if the function does with its arguments what JAX cannot trace: NumPy
        functions, ``if``, ``float``, traced values kept outside. The message says which.

    Examples
    --------
    >>> import jax.numpy as jnp, pymc as pm
    >>> @wrap_jax
    ... def log_likelihood(params, data):
    ...     residual = (data - params["mean"]) / params["sd"]
    ...     return -0.5 * jnp.sum(residual**2) - data.size * jnp.log(params["sd"])
    >>> with pm.Model() as model:
    ...     mean, sd = pm.Normal("mean"), pm.HalfNormal("sd")
    ...     likelihood = log_likelihood({"mean": mean, "sd": sd}, np.array([1.0, 2.0, 4.0]))
    ...     term = pm.Potential("likelihood", likelihood)
    >>> float(model.point_logps()["likelihood"])  # at mean = 0 and sd = 1
    -10.5
    """
    flag("allow_eval", allow_eval)
    if function is None:
        return functools.partial(wrap_jax, allow_eval=allow_eval)
    if not callable(function):
        raise TypeError(f"wrap_jax wraps a function of JAX arrays, got {type(function).__name__}.")
    name = _name_of(function)

    @functools.wraps(function)
    def of_views(*args: Any, **kwargs: Any) -> Any:
        # JAX remembers an array in the precision in which it met it first (see called_afresh); a
        # view is a new one
        args, kwargs = jax.tree.map(
            lambda leaf: leaf[...] if type(leaf) is np.ndarray else leaf, (args, kwargs)
        )
        return function(*args, **kwargs)

    of_views.__name__ = name  # PyTensor's wrapper calls it so
    wrapped = pytensor.wrap_jax(of_views, allow_eval=allow_eval)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            with precision(np.dtype("float64")):  # the types of its outputs are found here
                outputs = wrapped(*args, **kwargs)
        except TRACING_ERRORS as error:
            raise TypeError(
                f"The JAX function {name!r} cannot be wrapped: {what_tracing_met(error)}."
            ) from error
        nodes: dict[Apply, Apply] = {}

        def with_jax_op(variable: Any) -> Any:
            if not isinstance(variable, Variable) or variable.owner is None:
                return variable
            old = variable.owner
            new = nodes.setdefault(old, jax_op_node(old, old.inputs) or old)
            return new.outputs[old.outputs.index(variable)]

        return jax.tree.map(with_jax_op, outputs, is_leaf=lambda leaf: isinstance(leaf, Variable))

    return call


def _name_of(function: Any) -> str:
    """The name of a function, of that inside a partial one, or of an object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
