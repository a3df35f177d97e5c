"""Draws of q inside a PyTensor graph, from a source of randomness that moves on by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.tensor.random.op import RNGConsumerOp
from pytensor.tensor.random.type import RandomGeneratorType, random_generator_type
from pytensor.tensor.type import TensorType

from vi.families.family import Family
from vi.graphs.jax_dispatch import jax_funcify
from vi.graphs.jax_function import JaxFunction
from vi.graphs.jax_op import JaxOp
from vi.graphs.object_mode import in_object_mode
from vi.graphs.self_advancing import SelfAdvancingGenerator

__all__ = ["draws_of", "streams"]

WORDS = 4
"""Random 32-bit words that seed a stream."""


class Streams(RNGConsumerOp):
    """A generator split into the next one, a JAX key and ``n`` generators for this evaluation.

    Parameters
    ----------
    n : int
        Number of generators for random variables.
    """

    __props__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    def make_node(self, rng: Variable) -> Apply:
        if not isinstance(rng.type, RandomGeneratorType):
            raise TypeError(f"Expected a random generator, got {rng.type}.")
        streams = [random_generator_type() for _ in range(self.n)]
        return Apply(self, [rng], [rng.type(), TensorType("uint32", shape=(2,))(), *streams])

    def update(self, node: Apply) -> dict[Variable, Variable]:
        return {node.inputs[0]: node.outputs[0]}

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        kind = type(inputs[0].bit_generator)
        bits = kind(0)
        bits.state = inputs[0].bit_generator.state
        following = np.random.Generator(bits)
        # whole 64-bit words: half a word kept back would be part of a state that JAX cannot take
        raw = following.bit_generator.random_raw((self.n + 1) * WORDS // 2)
        words = np.asarray(raw, np.uint64).view(np.uint32).reshape(self.n + 1, WORDS)
        streams = [
            np.random.Generator(kind(np.random.SeedSequence(row.tolist()))) for row in words[1:]
        ]
        for storage, value in zip(outputs, [following, words[0, :2].copy(), *streams], strict=True):
            storage[0] = value

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] * len(node.outputs)]


in_object_mode(Streams)


@jax_funcify.register(Streams)
def _streams_to_jax(op: Streams, **_: Any) -> Callable[..., Any]:
    def split(rng: dict[str, Any]) -> tuple[Any, ...]:
        """PyTensor's generators in JAX are dicts whose ``jax_state`` holds the key."""
        following, key, *keys = jax.random.split(rng["jax_state"], op.n + 2)
        return (rng | {"jax_state": following}, key, *(rng | {"jax_state": key} for key in keys))

    return split


def streams(n: int, seed: int) -> list[Any]:
    """A JAX key and ``n`` generators, symbolic, new at every evaluation.

    Parameters
    ----------
    n : int
        Number of generators.
    seed : int
        Determines the whole sequence of values.

    Returns
    -------
    list of Variable
        The key, of shape ``(2,)`` and type uint32, and the generators.
    """
    generator = SelfAdvancingGenerator(
        type=random_generator_type, value=np.random.default_rng(seed), strict=False, name="rng_of_q"
    )
    parts: list[Any]
    following, *parts = Streams(n).make_node(generator).outputs
    generator.default_update = following
    return parts


@dataclass(frozen=True)
class Draws(JaxFunction):
    """Draws of a family: inputs are a key, the number of draws if ``many``, and the parameters."""

    family: Family
    names: tuple[str, ...]
    dim: int
    dtype: str
    many: bool

    @property
    def static(self) -> tuple[int, ...]:  # type: ignore[override]
        return (1,) if self.many else ()

    def __call__(self, key: Any, *inputs: Any) -> tuple[jax.Array, ...]:
        params = {
            name: jnp.asarray(value)
            for name, value in zip(self.names, inputs[1:] if self.many else inputs, strict=True)
        }

        def one(key: jax.Array) -> jax.Array:
            return self.family.draw(params, self.family.noise(key, params))

        key = jax.random.wrap_key_data(jnp.asarray(key, jnp.uint32), impl="threefry2x32")
        if self.many:
            size = inputs[0]
            if size < 1:
                raise ValueError(f"size={size}: the number of draws must be at least 1.")
            points = jax.vmap(one)(jax.random.split(key, size))
        else:
            points = one(key)
        return (points.astype(jax.dtypes.canonicalize_dtype(self.dtype)),)

    def output_types(self, inputs: Sequence[Variable]) -> list[Any]:
        leading = (_static(inputs[1]),) if self.many else ()
        return [TensorType(self.dtype, shape=(*leading, self.dim))]


def _static(size: Any) -> int | None:
    return int(size.data) if hasattr(size, "data") else None


def draws_of(
    family: Family,
    params: dict[str, Any],
    dim: int,
    dtype: np.dtype,
    key: Any,
    size: Any | None = None,
) -> Any:
    """Draws of q, symbolic, ``(dim,)`` or ``(size, dim)``, differentiable in ``params``."""
    arguments = [] if size is None else [pt.as_tensor(size)]
    function = Draws(family, tuple(params), dim, np.dtype(dtype).name, many=size is not None)
    return JaxOp(function)(key, *arguments, *params.values())
