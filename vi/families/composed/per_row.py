"""Independent copies of one family, one a row: for variables with entries for every row of data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from vi.families.family import FAMILIES, Family, Noise, Params
from vi.foundation.arguments import instance
from vi.foundation.numbers import whole

__all__ = ["PerRow"]


@FAMILIES.register
@dataclass(frozen=True)
class PerRow(Family):
    r"""The same family for every row, :math:`q(z) = \prod_{i=1}^N q(z_i \mid \lambda_i)`.

    Parameters are those of the family of one row, with a leading axis of length ``N``. The flat
    vector holds row after row.

    Parameters
    ----------
    family : Family
        Family of the ``K`` entries of one row; one with a density.
    rows : int
        ``N``.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from vi.families import FullRank
    >>> family = PerRow(FullRank(), 4)
    >>> params = family.init(jnp.zeros(8), jnp.ones(8), jax.random.key(0))
    >>> {name: params[name].shape for name in ("mu", "L_tril")}
    {'mu': (4, 2), 'L_tril': (4, 3)}
    """

    family: Family
    rows: int
    short_name = "per_row"

    def __post_init__(self) -> None:
        whole("PerRow(rows", self.rows, 1)
        instance("PerRow(family", self.family, Family, "a family, an instance of one")
        if not self.family.has_density:
            raise TypeError(
                f"PerRow: the family {self.family.short_name!r} of a row has no density."
            )

    @property
    def default_estimator(self) -> str:  # type: ignore[override]
        """That of the family of a row."""
        return self.family.default_estimator

    @property
    def estimator_of_plain_steps(self) -> str:  # type: ignore[override]
        """That of the family of a row."""
        return self.family.estimator_of_plain_steps

    @property
    def default_draws(self) -> int:  # type: ignore[override]
        """As many as the family of a row wants."""
        return self.family.default_draws

    @property
    def exact_moments(self) -> bool:  # type: ignore[override]
        """Whether the moments of a row are exact."""
        return self.family.exact_moments

    @property
    def exact_mean(self) -> bool:
        """Whether the mean of a row is exact."""
        return self.family.exact_mean

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        keys = jax.random.split(key, self.rows)
        params: Params = self._each(self.family.init, self._rows(mean), self._rows(std), keys)
        return params

    def noise(self, key: jax.Array, params: Params) -> Noise:
        return self._each(self.family.noise, jax.random.split(key, self.rows), params)

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        z: jax.Array = self._each(self.family.draw, params, noise)
        return z.ravel()

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        return jnp.sum(self._each(self.family.log_prob, params, self._rows(z)))

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        z, log_q = self._each(self.family.draw_and_log_prob, params, noise)
        return z.ravel(), jnp.sum(log_q)

    def entropy(self, params: Params) -> jax.Array | None:
        if self.family.entropy(jax.tree.map(lambda leaf: leaf[0], params)) is None:
            return None
        return jnp.sum(self._each(self.family.entropy, params))

    def mean(self, params: Params) -> jax.Array:
        mean: jax.Array = self._each(self.family.mean, params)
        return mean.ravel()

    def std(self, params: Params) -> jax.Array:
        std: jax.Array = self._each(self.family.std, params)
        return std.ravel()

    def cov(self, params: Params) -> jax.Array:
        blocks = self._each(self.family.cov, params)
        row = jnp.eye(self.rows, dtype=blocks.dtype)
        dim = self.rows * blocks.shape[1]
        cov: jax.Array = (row[:, None, :, None] * blocks[:, :, None, :]).reshape(dim, dim)
        return cov

    def units(self, params: Params) -> Params:
        units: Params = self._each(self.family.units, params)
        return units

    def trains(self, name: str) -> bool:
        return self.family.trains(name)

    def _rows(self, flat: jax.Array) -> jax.Array:
        return flat.reshape(self.rows, -1)

    def _each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return jax.vmap(function)(*arguments)
