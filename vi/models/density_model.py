"""A log density of a pytree as a PyMC model: a flat variable for each leaf, and Potentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import xarray as xr
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType

from vi.data.minibatches.batch_tensors import MinibatchVariable, TakeRows, row_data
from vi.foundation.arrays import plain_array
from vi.foundation.lengths import refuse_lengths
from vi.graphs.interpret import interpret
from vi.graphs.jax_function import JaxFunction, floating_dtype, in_precision_of

__all__ = ["Computed", "DensityModel", "LogDensity", "own_groups"]


class Predictions(Protocol):
    """What a library's model says of its observed sites, from draws ``(S, ...)`` by name."""

    def predict(
        self,
        draws: Any,
        seed: int,
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:
        """Draws of the observed sites, ``(S, ...)`` by name."""
        ...

    def log_likelihood(self, draws: Any) -> dict[str, np.ndarray]:
        """Log likelihoods of the observed sites' entries, ``(S, ...)`` by name."""
        ...


class DensityModel(pm.Model):
    """A PyMC model made of a log density of a pytree; accepted wherever ``model=`` is.

    Made by :func:`vi.targets.from_function` and :func:`vi.targets.from_numpyro`. Its free variables
    are the leaves of the pytree, by path; they have no prior of their own, so that its log density
    is the function's, with the log Jacobian determinants of the constraints.

    Parameters
    ----------
    start : dict of {str: array}
        Name and start of each leaf, in the order of the pytree.
    transforms : dict of {str: Transform}
        Transforms of those that are constrained.
    structure : PyTreeDef
        The structure of the pytree.
    dtype : numpy.dtype
        Precision of the fits. The function is traced in this one alone: JAX confuses the types of
        NumPy arrays in the closure of a function that is traced in both.

    Examples
    --------
    >>> import jax.numpy as jnp, vi
    >>> model = vi.targets.from_function(
    ...     lambda p: -0.5 * (p["a"] ** 2 + jnp.sum(p["b"] ** 2)),
    ...     {"a": jnp.zeros(()), "b": jnp.zeros(2)},
    ... )
    >>> draws = vi.fit(model=model, random_seed=1, progressbar=False).sample(10)
    >>> {name: leaf.shape for name, leaf in model.pytree(draws).items()}
    {'a': (1, 10), 'b': (1, 10, 2)}
    """

    def __init__(
        self,
        start: Mapping[str, np.ndarray],
        transforms: Mapping[str, Any],
        structure: Any,
        dtype: np.dtype,
    ) -> None:
        super().__init__(model=None)  # never a part of the model whose `with` block is open
        self.dtype = np.dtype(dtype)
        self.structure = structure
        self.row_scales: dict[str, str] = {}
        """Potentials that are sums over the rows of a batch, so that they are scaled by N / B."""
        self.log_prior: Callable[[], Any] | None = None
        """Makes the graph of the log prior, in the free variables, where it is known."""
        self.points: tuple[str, ...] = ()
        """Variables without a prior, of which fits have point estimates."""
        self.local: tuple[str, ...] = ()
        """Variables with an entry for every row of the data."""
        self.predictions: Predictions | None = None
        """What is known of observed sites, where there are some."""
        with self:
            for name, value in start.items():
                # float64 in the graph, whatever the precision of the fit: some of PyMC's transforms
                # have no other
                initial = np.asarray(value, "float64")
                extra = {"default_transform": transforms[name]} if name in transforms else {}
                pm.Flat(name, shape=initial.shape, initval=initial, dtype="float64", **extra)

    def rows_of(self, array: Any) -> Any:
        """The rows of an array that a step sees, as a tensor: what an encoder reads.

        Parameters
        ----------
        array : array_like
            Data with a row for each row of the model's batches, ``(N, ...)``.

        Returns
        -------
        MinibatchVariable
            For ``vi.Group([...], encoder=f, inputs=...)``.

        Raises
        ------
        TypeError
            If the model has no batches.
        ValueError
            If the array has another number of rows.
        """
        data = np.atleast_1d(plain_array("array", array))
        likelihood = self.named_vars.get("log_likelihood")
        if likelihood is None:
            raise TypeError(
                f"array of {len(data)} rows: the model has no batches, so that all rows are seen, "
                "and the array is what a step sees. Give from_function or from_numpyro batches, by "
                "batch_size= or numpyro.plate(..., subsample_size=)."
            )
        rows = next(v for v in likelihood.owner.inputs if isinstance(v, MinibatchVariable))
        (n,) = interpret([], [rows.owner.inputs[0].shape[0]], [])
        refuse_lengths(
            "Rows of the model and of the array", {"the model": int(n), "array": len(data)}
        )
        floating = data.dtype.kind == "f"
        data = row_data(data.astype(self.dtype) if floating else data, nan="allow")
        return TakeRows((0,))(data, *rows.owner.inputs[1:])

    def pytree(self, draws: Any) -> Any:
        """Draws as the pytree of the log density.

        Parameters
        ----------
        draws : xarray.DataTree, xarray.Dataset or mapping
            What ``approx.sample()`` returned, its ``posterior``, or arrays by name.

        Returns
        -------
        pytree of arrays
            Like the argument of the log density, with leading axes (chain, draw).

        Raises
        ------
        KeyError
            If a leaf is not among the draws.
        """
        if not isinstance(draws, xr.DataTree | xr.Dataset | Mapping):
            raise TypeError(f"draws={draws!r}: give what approx.sample() returned.")
        if isinstance(draws, xr.DataTree) and "posterior" in draws.children:
            draws = draws["posterior"]
        names = [variable.name for variable in self.free_RVs]
        missing = [name for name in names if name not in draws]
        if missing:
            raise KeyError(
                f"The draws lack {', '.join(missing)}: they are not draws of this model, and have "
                f"{', '.join(map(str, draws)) or 'nothing'}."
            )
        return jax.tree.unflatten(self.structure, [np.asarray(draws[name]) for name in names])


def own_groups(model: pm.Model) -> str:
    """In words, which variables a model says to have families of their own; or nothing."""
    if not isinstance(model, DensityModel):
        return ""
    points = f"{', '.join(model.points)} without a prior, of which there are point estimates"
    local = f"{', '.join(model.local)} with an entry for every row"
    said = [text for text, names in ((points, model.points), (local, model.local)) if names]
    return "; ".join(said)


@dataclass(frozen=True, eq=False)
class LogDensity(JaxFunction):
    """A log density as a function of the leaves of params and data, or one of the pair it returns.

    Parameters
    ----------
    fn : callable
        The user's function.
    params, data : PyTreeDef
        Structures of its arguments; no data if None.
    n_params : int
        How many of the leaves are parameters.
    host_dtype : numpy.dtype
        The precision of the fit.
    part : int, optional
        Which of the pair; the sum of what is returned by default.
    fixed : pytree, optional
        Data that are no inputs.
    """

    fn: Callable[..., Any]
    params: Any
    data: Any
    n_params: int
    host_dtype: np.dtype | None
    part: int | None = None
    fixed: Any = None

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        leaves = [jnp.asarray(leaf) for leaf in inputs]
        arguments = [jax.tree.unflatten(self.params, leaves[: self.n_params])]
        if self.fixed is not None:
            arguments.append(jax.tree.map(jnp.asarray, self.fixed))
        elif self.data is not None:
            arguments.append(jax.tree.unflatten(self.data, leaves[self.n_params :]))
        returned = self.fn(*arguments)
        value = sum(jax.tree.leaves(returned)) if self.part is None else returned[self.part]
        return (jnp.asarray(value, jnp.result_type(*leaves[: self.n_params])),)

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return [TensorType(floating_dtype(inputs[: self.n_params]).name, ())]


@dataclass(frozen=True, eq=False)
class Computed(JaxFunction):
    """Arrays that are computed from the leaves of the parameters.

    Parameters
    ----------
    fn : callable
        From the pytree of parameters, and data if there are some, to a list of arrays.
    params : PyTreeDef
        The structure of the parameters.
    kinds : tuple of TensorType
        Types of the arrays; floating ones are as precise as the leaves.
    host_dtype : numpy.dtype
        The precision of the fit.
    """

    fn: Callable[..., Sequence[jax.Array]]
    params: Any
    kinds: tuple[Any, ...]
    host_dtype: np.dtype | None

    def __call__(self, *inputs: Any) -> tuple[jax.Array, ...]:
        leaves = [jnp.asarray(leaf) for leaf in inputs]
        params, data = leaves[: self.params.num_leaves], leaves[self.params.num_leaves :]
        arrays = self.fn(jax.tree.unflatten(self.params, params), *data)
        wide = jnp.result_type(*params)
        return tuple(
            jnp.asarray(array, wide if np.issubdtype(kind.dtype, np.floating) else None)
            for array, kind in zip(arrays, self.kinds, strict=True)
        )

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        return in_precision_of(inputs, self.kinds)
