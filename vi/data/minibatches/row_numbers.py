"""Which rows a step takes: shuffled epochs without a stored permutation, on the host and in JAX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["MAX_ROWS", "Sampling", "permuted", "rounds", "row_numbers", "short_steps"]

MAX_ROWS = 2**31 - 1
"""Most rows that are numbered: positions and their sums fit into the 32 bits that JAX has without
its 64-bit mode."""


def rounds(n: int) -> int:
    """Rounds of the network: few rows need more of them until every order is equally likely."""
    return 8 if n >= 1024 else 24


@dataclass(frozen=True)
class Sampling:
    """How the rows of a step are chosen.

    Parameters
    ----------
    size : int
        Rows of a batch.
    replace : bool
        Whether rows are drawn independently, with replacement; otherwise every row comes exactly
        once an epoch.
    drop_last : bool
        Whether the rows that do not fill a last batch are left out of the epoch (other ones in
        every epoch); otherwise a batch goes on into the next epoch.
    short_last : bool
        Whether the epoch's last batch is a shorter one.
    """

    size: int
    replace: bool = False
    drop_last: bool = False
    short_last: bool = False

    def epoch_steps(self, n: int) -> int:
        """Steps of an epoch of ``n`` rows, where epochs begin with a batch of their own."""
        return n // self.size if self.drop_last else -(-n // self.size)

    def last_size(self, n: int) -> int:
        """Rows of the last batch of an epoch of ``n`` rows."""
        return n - (self.epoch_steps(n) - 1) * self.size


def permuted(x: Any, n: int, keys: Any, late: Any, xp: Any) -> Any:
    r"""A keyed bijection of :math:`\{0, \dots, n - 1\}` at ``x``: constant memory, no table.

    A Feistel network on :math:`\mathbb{Z}_a \times \mathbb{Z}_b` with :math:`a = \lceil \sqrt n
    \rceil` and
    :math:`b = \lceil n / a \rceil`; the few values that fall on :math:`n, \dots, ab - 1` are sent
    through it again.

    Parameters
    ----------
    x : array of uint32
        Numbers below ``n``.
    n : int
        Size of the set.
    keys : array of uint32
        Two keys a round, one for each value of ``late``, shape ``(rounds(n), 2)``.
    late : array of bool
        Which of the two bijections is meant, for each entry of ``x``.
    xp : module
        ``numpy`` or ``jax.numpy``.

    References
    ----------
    Black, J. and Rogaway, P. (2002), *Ciphers with arbitrary finite domains*, section 5 and "cycle
    walking".
    """
    a = math.isqrt(n - 1) + 1
    b = -(-n // a)

    def round_of(sides: tuple[Any, Any], keys: Any) -> tuple[Any, Any]:
        left, right = sides
        first, second = (xp.where(late, key[1], key[0]) for key in keys)
        left = (left + _mixed(right ^ first) % np.uint32(a)) % np.uint32(a)
        return left, (right + _mixed(left ^ second) % np.uint32(b)) % np.uint32(b)

    def once(x: Any) -> Any:
        sides = x // np.uint32(b), x % np.uint32(b)
        pairs = keys.reshape(-1, 2, 2)
        if xp is np:
            for pair in pairs:
                sides = round_of(sides, pair)
        else:  # a loop over an array of keys: written out, XLA computes the keys anew for every row
            sides, _ = jax.lax.scan(lambda sides, pair: (round_of(sides, pair), None), sides, pairs)
        left, right = sides
        return left * np.uint32(b) + right

    y = once(x)
    if a * b == n:
        return y
    if xp is np:
        while (y >= n).any():
            y = np.where(y >= n, once(y), y)
        return y
    return jax.lax.while_loop(lambda y: jnp.any(y >= n), lambda y: jnp.where(y >= n, once(y), y), y)


def row_numbers(
    words: Any, stream: int, step: Any, n: int, sampling: Sampling, xp: Any = jnp
) -> Any:
    """Row numbers of a step, shape ``(sampling.size,)``: a function of key, stream and step.

    Parameters
    ----------
    words : array
        Two 32-bit words of a random key.
    stream : int
        Separates minibatches that share a key.
    step : int or scalar of an unsigned type
        The step, counted from 0.
    n : int
        Rows in all.
    sampling : Sampling
        How they are chosen.
    xp : module
        ``jax.numpy`` for a traceable result, ``numpy`` for the same numbers on the host.
    """
    size = sampling.size
    words = xp.asarray(words, np.uint32)
    if sampling.replace:
        return _independent(words, stream, step, n, size, xp)
    lane = xp.arange(size, dtype=np.uint32)
    if sampling.drop_last or sampling.short_last:
        steps = np.uint32(sampling.epoch_steps(n))
        step = xp.asarray(step, np.uint32)
        epoch, first = step // steps, (step % steps) * np.uint32(size)
        # beyond n only in a short last batch, whose end is cut off
        place = (first + lane) % np.uint32(n)
        late = xp.zeros(size, bool)
    else:
        epoch, first = _divided(step, size, n, xp)
        place = first + lane
        late = place >= np.uint32(n)
        place = xp.where(late, place - np.uint32(n), place)
    keys = xp.stack(
        [xp.stack(_round_keys(words, stream, epoch + np.uint32(i), n)) for i in range(2)], axis=1
    )
    with np.errstate(over="ignore"):
        return permuted(place, n, keys, late, xp)


def short_steps(step: Any, n: int, sampling: Sampling) -> Any:
    """Whether the batch of a step is the short last one of its epoch."""
    steps = sampling.epoch_steps(n)
    return step % np.uint32(steps) == np.uint32(steps - 1)


def _divided(step: Any, size: int, n: int, xp: Any) -> tuple[Any, Any]:
    """Quotient (modulo 2^32) and remainder of ``step * size`` by ``n``, without wider integers."""
    if xp is np:
        whole, rest = divmod(int(step) * size, n)
        return np.uint32(whole % 2**32), np.uint32(rest)
    step = jnp.asarray(step, jnp.uint32)
    quotient: Any = jnp.zeros((), jnp.uint32)
    remainder: Any = quotient
    for bit in range(32):
        q, r = divmod(size << bit, n)
        on = (step >> np.uint32(bit)) & np.uint32(1)
        remainder = remainder + on * np.uint32(r)
        over = remainder >= np.uint32(n)
        remainder = jnp.where(over, remainder - np.uint32(n), remainder)
        quotient = quotient + on * np.uint32(q % 2**32) + over.astype(jnp.uint32)
    return quotient, remainder


def _independent(words: Any, stream: int, step: Any, n: int, size: int, xp: Any) -> Any:
    key = jax.random.wrap_key_data(jnp.asarray(words, jnp.uint32), impl="threefry2x32")
    key = jax.random.fold_in(
        jax.random.fold_in(key, np.uint32(2**32 - 1 - stream)), jnp.asarray(step, jnp.uint32)
    )
    return xp.asarray(jax.random.randint(key, (size,), 0, n, dtype=jnp.int32), np.uint32)


def _round_keys(words: Any, stream: int, epoch: Any, n: int) -> list[Any]:
    """The keys of an epoch's rounds, scalars of type uint32."""
    with np.errstate(over="ignore"):
        base = _mixed(
            words[0] ^ _mixed(epoch + words[1]) ^ np.uint32(0x9E3779B9 * (stream + 1) % 2**32)
        )
        return [_mixed(base + np.uint32(0x9E3779B9 * (i + 1) % 2**32)) for i in range(rounds(n))]


def _mixed(x: Any) -> Any:
    """A bijection of 32-bit words: every bit of the input moves every bit of the output.

    The end of MurmurHash3, with its constants.
    """
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return x ^ (x >> np.uint32(16))
