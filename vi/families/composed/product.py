"""A product of families: each for some entries of the flat vector, independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.composed.part import Part
from vi.families.family import FAMILIES, Family, Frame, Noise, Params

__all__ = ["Product"]


@FAMILIES.register
@dataclass(frozen=True)
class Product(Family):
    r"""Independent parts, :math:`q(z) = \prod_g q_g(z_g)`.

    Entropy, log density, moments and draws are those of the product; covariances between parts are
    zero.

    Parameters
    ----------
    parts : tuple of Part
        The factors; together they cover every entry once.

    Raises
    ------
    TypeError
        If a part's family has no density.
    ValueError
        If the parts do not cover ``0 .. D - 1`` once each, or two have the same name.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from vi.families import FullRank, MeanField
    >>> family = Product((Part("a", FullRank(), ((0, 2),)), Part("b", MeanField(), ((2, 3),))))
    >>> sorted(family.init(jnp.zeros(3), jnp.ones(3), jax.random.key(0)))
    ['a.L_tril', 'a.mu', 'b.mu', 'b.rho']
    """

    parts: tuple[Part, ...]
    short_name = "product"

    def __post_init__(self) -> None:
        are_parts = isinstance(self.parts, tuple | list)
        if not are_parts or not all(isinstance(part, Part) for part in self.parts):
            raise TypeError(f"Product(parts={self.parts!r}): give a tuple of vi.families.Part.")
        for part in self.parts:
            if not part.family.has_density:
                raise TypeError(
                    f"The group {part.name!r} has the family {part.family.short_name!r}, which has "
                    "no density: it cannot be a factor of a product. Use it for the whole model "
                    "(vi.SVGD, vi.Empirical)."
                )
        names = [part.name for part in self.parts]
        if not names:
            raise ValueError("Product(parts=()) is empty; give one part at least.")
        if len(set(names)) < len(names):
            raise ValueError(f"The parts of a product need different names, got {names}.")
        entries = np.sort(np.concatenate([part.entries for part in self.parts]))
        if not np.array_equal(entries, np.arange(len(entries))):
            raise ValueError(
                "The parts of a product must cover every entry of the flat vector once."
            )

    @property
    def default_estimator(self) -> str:  # type: ignore[override]
        """The parts' own if they agree; otherwise one that suits every part."""
        wanted = {part.family.default_estimator for part in self.parts}
        if len(wanted) == 1:
            return wanted.pop()
        if "monte_carlo" in wanted:
            return "monte_carlo"
        if all(map(_has_entropy, self.parts)):
            return "closed_form"
        return "sticking_the_landing"

    @property
    def estimator_of_plain_steps(self) -> str:  # type: ignore[override]
        """What a part wants, if it suits every part."""
        wanted = any(part.family.estimator_of_plain_steps == "closed_form" for part in self.parts)
        return "closed_form" if wanted and all(map(_has_entropy, self.parts)) else ""

    @property
    def default_draws(self) -> int:  # type: ignore[override]
        """As many as the part that wants most."""
        return max(part.family.default_draws for part in self.parts)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether every part is."""
        return all(part.family.symmetric for part in self.parts)

    @property
    def pairs_in_batches(self) -> bool:  # type: ignore[override]
        """Whether a part wants them."""
        return any(part.family.pairs_in_batches for part in self.parts)

    @property
    def exact_moments(self) -> bool:  # type: ignore[override]
        """Whether every part's moments are exact."""
        return all(part.family.exact_moments for part in self.parts)

    @property
    def exact_mean(self) -> bool:
        """Whether every part's mean is exact."""
        return all(part.family.exact_mean for part in self.parts)

    def init(self, mean: jax.Array, std: jax.Array, key: jax.Array) -> Params:
        covered = sum(len(part.entries) for part in self.parts)
        if mean.size != covered:
            raise ValueError(
                f"The parts of the product cover {covered} entries of the flat vector, which has "
                f"{mean.size} here: {', '.join(f'{p.name} {p.ranges}' for p in self.parts)}."
            )
        keys = jax.random.split(key, len(self.parts))
        return self._join(
            [
                part.family.init(mean[part.entries], std[part.entries], key)
                for part, key in zip(self.parts, keys, strict=True)
            ]
        )

    def noise(self, key: jax.Array, params: Params) -> Noise:
        keys = jax.random.split(key, len(self.parts))
        return tuple(
            part.family.noise(key, of_part)
            for part, of_part, key in zip(self.parts, self.split(params), keys, strict=True)
        )

    def draw(self, params: Params, noise: Noise) -> jax.Array:
        split = zip(self.parts, self.split(params), noise, strict=True)
        return self.assemble([part.family.draw(of_part, e) for part, of_part, e in split])

    def draw_and_log_prob(self, params: Params, noise: Noise) -> tuple[jax.Array, jax.Array]:
        split = zip(self.parts, self.split(params), noise, strict=True)
        pieces = [part.family.draw_and_log_prob(of_part, e) for part, of_part, e in split]
        terms = [part.weighted(log_q) for part, (_, log_q) in zip(self.parts, pieces, strict=True)]
        return self.assemble([z for z, _ in pieces]), sum(terms)  # type: ignore[return-value]

    def log_prob(self, params: Params, z: jax.Array) -> jax.Array:
        terms = [
            part.weighted(part.family.log_prob(of_part, z[part.entries]))
            for part, of_part in zip(self.parts, self.split(params), strict=True)
        ]
        return sum(terms)  # type: ignore[return-value]

    def log_prob_of_draw(self, params: Params, noise: Noise, z: jax.Array) -> jax.Array:
        terms = [
            part.weighted(part.family.log_prob_of_draw(of_part, of_noise, z[part.entries]))
            for part, of_part, of_noise in zip(self.parts, self.split(params), noise, strict=True)
        ]
        return sum(terms)  # type: ignore[return-value]

    def entropy(self, params: Params) -> jax.Array | None:
        total = jnp.zeros(())
        for part, of_part in zip(self.parts, self.split(params), strict=True):
            entropy = part.family.entropy(of_part)
            if entropy is None:
                return None
            total = total + part.weighted(entropy)
        return total

    def mean(self, params: Params) -> jax.Array:
        return self.assemble(
            [
                p.family.mean(of_part)
                for p, of_part in zip(self.parts, self.split(params), strict=True)
            ]
        )

    def std(self, params: Params) -> jax.Array:
        return self.assemble(
            [
                p.family.std(of_part)
                for p, of_part in zip(self.parts, self.split(params), strict=True)
            ]
        )

    def cov(self, params: Params) -> jax.Array:
        blocks = [
            part.family.cov(of_part)
            for part, of_part in zip(self.parts, self.split(params), strict=True)
        ]
        order = self._order()
        cov: jax.Array = jax.scipy.linalg.block_diag(*blocks)[jnp.ix_(order, order)]
        return cov

    def units(self, params: Params) -> Params:
        return self._join(
            [
                p.family.units(of_part)
                for p, of_part in zip(self.parts, self.split(params), strict=True)
            ]
        )

    def frame(self, params: Params) -> Frame | None:
        frames = {
            part.name: frame
            for part, of_part in zip(self.parts, self.split(params), strict=True)
            if (frame := part.family.frame(of_part)) is not None
        }
        return _Frames(frames) if frames else None

    def trains(self, name: str) -> bool:
        owner, _, inner = name.partition(".")
        part = next(part for part in self.parts if part.name == owner)
        return not part.frozen and part.family.trains(inner)

    def with_frozen(self, names: set[str], frozen: bool) -> Self:
        """The same product with the parts of those names frozen, or free again."""
        parts = [
            replace(part, frozen=frozen) if part.name in names else part for part in self.parts
        ]
        return replace(self, parts=tuple(parts))

    def _join(self, pieces: list[Params]) -> Params:
        named = zip(self.parts, pieces, strict=True)
        return {
            f"{part.name}.{name}": value for part, values in named for name, value in values.items()
        }

    def split(self, params: Params) -> list[Params]:
        by_part: dict[str, Params] = {part.name: {} for part in self.parts}
        for name, value in params.items():
            owner, _, inner = name.partition(".")
            by_part[owner][inner] = value
        return [by_part[part.name] for part in self.parts]

    def _order(self) -> np.ndarray:
        """Where each entry of the flat vector lies among the concatenated parts."""
        return np.argsort(np.concatenate([part.entries for part in self.parts]))

    def assemble(self, pieces: list[jax.Array]) -> jax.Array:
        order = self._order()
        joined = jnp.concatenate(pieces)
        return joined if np.array_equal(order, np.arange(len(order))) else joined[order]


@dataclass(frozen=True)
class _Frames(Frame):
    """The frames of parts, by the name of the part."""

    frames: Mapping[str, Frame]

    def gradient(self, gradient: Params) -> Params:
        return self._by_part(gradient, lambda frame, of_part: frame.gradient(of_part))

    def change(self, step: Params) -> Params:
        return self._by_part(step, lambda frame, of_part: frame.change(of_part))

    def _by_part(self, values: Params, turn: Callable[[Frame, Params], Params]) -> Params:
        turned: Params = {}
        for part, frame in self.frames.items():
            start = f"{part}."
            of_part = {n.removeprefix(start): v for n, v in values.items() if n.startswith(start)}
            if of_part:  # an optimiser may hand on some parameters alone
                turned |= {f"{start}{n}": v for n, v in turn(frame, of_part).items()}
        return turned


def _has_entropy(part: Part) -> bool:
    """Whether the part's family has a formula for its entropy, found without computing it."""
    size = len(part.entries)

    def entropy(mean: jax.Array, key: jax.Array) -> jax.Array | None:
        return part.family.entropy(part.family.init(mean, jnp.ones_like(mean), key))

    return jax.eval_shape(entropy, jnp.zeros(size), jax.random.key(0)) is not None
