"""Encoders: functions of a row of data that give the parameters of the row's q."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.composed.per_row import PerRow
from vi.families.family import Family, Noise, Params

__all__ = ["Encoded", "Encoder"]

BLOCK = 1024
"""Rows that are encoded together after a fit: all at once, the layers of an encoder would need
memory for every row."""


class Encoder:
    r"""A function of the data of one row, with weights: :math:`\lambda_i = f_w(x_i)`.

    Parameters
    ----------
    given : callable, or (weights, callable)
        A JAX function of one row; a callable pytree, an equinox module for example, whose floating
        arrays are the weights; or weights (any pytree of arrays) and a function ``f(weights,
        row)``, such as the two of flax: ``(module.init(key, row), module.apply)``. It returns the
        parameters of the family of one row as a dict, or ``(mean, log_sd)``, each ``(K,)``.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = Encoder(
    ...     ({"A": np.eye(2)}, lambda weights, row: (weights["A"] @ row, np.zeros(2)))
    ... )
    >>> sorted(encoder.initial)
    ['A']
    >>> encoder({"A": np.eye(2)}, np.array([1.0, 2.0]))[0].tolist()
    [1.0, 2.0]
    """

    def __init__(self, given: Any) -> None:
        weights: Any = given
        self._function: Any = lambda module, row: module(row)
        if isinstance(given, tuple | list) and len(given) == 2 and callable(given[1]):
            weights, self._function = given
        elif isinstance(given, type) or not callable(given):
            raise TypeError(
                f"encoder={given!r}: give a JAX function of one row, a callable module whose "
                "arrays are weights (equinox), or a pair (weights, f) with f(weights, row)."
            )
        elif hasattr(given, "init") and hasattr(given, "apply"):  # a module of flax
            raise TypeError(
                f"encoder={type(given).__name__} keeps no weights of its own: give the pair "
                "(module.init(key, row), module.apply)."
            )
        paths, self._structure = jax.tree.flatten_with_path(weights)
        self._fixed: list[Any] = [None if _is_weight(leaf) else leaf for _, leaf in paths]
        self.initial: dict[str, np.ndarray] = {}
        for path, leaf in paths:
            if _is_weight(leaf):
                self.initial[_name(path)] = np.asarray(leaf)
        """The weights at the start, by name."""

    def __call__(self, weights: Params, row: Any) -> Any:
        """What the encoder returns for the data of one row."""
        values = iter([weights[name] for name in self.initial])
        leaves = [next(values) if fixed is None else fixed for fixed in self._fixed]
        return self._function(jax.tree.unflatten(self._structure, leaves), row)


@dataclass(frozen=True)
class Encoded(Family):
    """Rows of a family whose parameters an encoder computes from rows of data.

    Its own parameters are the encoder's weights. It is bound to its data, so it is made anew for
    every batch, inside the traced step.

    Parameters
    ----------
    family : Family
        Family of the entries of one row.
    encoder : Encoder
        The encoder.
    inputs : tuple of arrays
        Data of the rows, each with a leading axis of length ``N``; one array is given to the
        encoder as it is, several as a tuple.
    dim : int
        Entries of one row.
    """

    family: Family
    encoder: Encoder
    inputs: tuple[Any, ...]
    dim: int
    short_name = "encoded"

    @property
    def default_estimator(self) -> str:  # type: ignore[override]
        """That of the family of a row."""
        return self.family.default_estimator

    @property
    def estimator_of_plain_steps(self) -> str:  # type: ignore[override]
        """That of the family of a row."""
        return self.family.estimator_of_plain_steps

    @property
    def rows(self) -> int:
        """Rows that it is bound to."""
        return int(jax.tree.leaves(self.inputs)[0].shape[0])

    def parameters(self, params: Params) -> Params:
        """The parameters of every row, as those of :class:`PerRow`."""
        return jax.vmap(lambda row: self._row(params, row))(self.inputs)

    def parameters_in_blocks(self, params: Params) -> Params:
        """The same, some rows at a time."""
        rows: Params = jax.lax.map(
            lambda row: self._row(params, row), self.inputs, batch_size=BLOCK
        )
        return rows

    @property
    def exact_mean(self) -> bool:
        """Whether the mean of a row is exact."""
        return self.family.exact_mean

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        return {
            name: jnp.asarray(value, mean.dtype) for name, value in self.encoder.initial.items()
        }

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return self._per_row.noise(key, self.parameters(params))

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        return self._per_row.draw(self.parameters(params), noise)

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        return self._per_row.log_prob(self.parameters(params), z)

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        return self._per_row.draw_and_log_prob(self.parameters(params), noise)

    def entropy(self, params: Params) -> jax.Array | None:
        return self._per_row.entropy(self.parameters(params))

    def mean(self, params: Params) -> jax.Array:
        return self._per_row.mean(self.parameters(params))

    def std(self, params: Params) -> jax.Array:
        return self._per_row.std(self.parameters(params))

    def cov(self, params: Params) -> jax.Array:
        return self._per_row.cov(self.parameters(params))

    def units(self, params: Params) -> Params:
        """One over the root of the longest axis.

        A step of all weights of one output then changes it by about one.
        """
        return {
            name: jnp.full_like(value, 1.0 / np.sqrt(max(value.shape)) if value.ndim > 1 else 1.0)
            for name, value in params.items()
        }

    @property
    def _per_row(self) -> PerRow:
        return PerRow(self.family, self.rows)

    def _row(self, weights: Params, row: tuple[Any, ...]) -> Params:
        """The parameters of the q of one row."""
        output = self.encoder(weights, row[0] if len(row) == 1 else row)
        dtype = jnp.result_type(float)
        start = (jnp.zeros(self.dim, dtype), jnp.ones(self.dim, dtype), jax.random.key(0))
        wanted = {
            name: value.shape for name, value in jax.eval_shape(self.family.init, *start).items()
        }
        if isinstance(output, dict):
            got = {name: jnp.shape(value) for name, value in output.items()}
            if got != wanted:
                raise ValueError(
                    f"The encoder returns {got} for a row, and {self.family.short_name!r} has "
                    f"{wanted}: return a dict of these."
                )
            return {name: jnp.asarray(output[name], dtype) for name in wanted}
        if not isinstance(output, tuple | list) or len(output) != 2:
            raise TypeError(
                f"The encoder returns {type(output).__name__} for a row; it must return "
                f"(mean, log_sd), each ({self.dim},), or a dict of "
                f"{', '.join(f'{name} {shape}' for name, shape in wanted.items())}."
            )
        mean, log_sd = (jnp.asarray(value, dtype) for value in output)
        if not mean.shape == log_sd.shape == (self.dim,):
            raise ValueError(
                f"The encoder returns (mean, log_sd) of shapes {mean.shape} and {log_sd.shape} "
                f"for a row; both must be ({self.dim},), the entries of a row's variables."
            )
        return self.family.init(mean, jnp.exp(log_sd), start[2])


def _is_weight(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | jax.Array) and np.issubdtype(leaf.dtype, np.floating)


def _name(path: Any) -> str:
    """The name of a weight: its place in the pytree."""
    return jax.tree_util.keystr(path, simple=True, separator=".").replace("/", "_") or "weights"
