"""Seeds: what the user gives becomes one whole number, and that number a JAX key."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

__all__ = [
    "CHAINS",
    "CHAIN_STARTS",
    "FAR_OUT",
    "FIRST_CHAINS",
    "FIRST_DRAWS",
    "FIXED_DRAWS",
    "INTEGRATED",
    "LOOKS",
    "MODE_JITTER",
    "MODE_STARTS",
    "OTHER_FITS",
    "PATHS",
    "PRIOR_DRAWS",
    "RESAMPLING",
    "RESPONSE",
    "RESTARTS",
    "SOME_ROWS",
    "STAGES",
    "START",
    "SYMMETRIES",
    "WIDE_DRAWS",
    "derived_seed",
    "generator_from",
    "key_from",
    "resolve_seed",
]

LIMIT = 2**63

START, RESTARTS, MODE_STARTS, FIXED_DRAWS, RESPONSE, OTHER_FITS = 1, 2, 3, 4, 5, 6
CHAIN_STARTS, CHAINS, FIRST_CHAINS, WIDE_DRAWS, PATHS, RESAMPLING = 11, 12, 13, 14, 21, 22
MODE_JITTER, PRIOR_DRAWS, FIRST_DRAWS = 31, 32, 33
STAGES, SOME_ROWS, SYMMETRIES, FAR_OUT, INTEGRATED, LOOKS = 41, 42, 43, 52, 61, 71
"""The independent streams of one seed, the only table of them: what is random in a start; the other
starts of a fit with restarts; of a search for modes; the draws of deterministic ADVI, and of the
search before the first step; of a linear response; of the other fits that a verdict looks at; where
Markov chains start, and what moves them; a verdict's first chains, and its draws that are wider
than q; Pathfinder's draws, and which of them are kept; how far a search for a mode starts from
where it was told to; draws of the prior, and of q, that look at a start; by which the stages of a
fit are compared; rows that stand for all of them; at which of its images a draw is put; from where
it is looked far out; draws of globals by their weights; the draws by which it is seen how far q
still moves. Stream 0 is the noise of the steps. The
numbers are part of what a seed means: another number is another result."""


def resolve_seed(random_seed: Any) -> int:
    """One whole number from any kind of seed.

    Parameters
    ----------
    random_seed : int, numpy generator, numpy.random.SeedSequence, sequence of int or None
        ``None`` takes a number from the operating system; a generator is asked for one (which moves
        it on).

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If a number is negative or not below 2**63.
    """
    if random_seed is None:
        random_seed = np.random.SeedSequence()
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**32))
    if isinstance(random_seed, np.random.RandomState):
        return int(random_seed.randint(2**32, dtype=np.uint32))
    if isinstance(random_seed, np.random.SeedSequence):
        return int(random_seed.generate_state(1)[0])
    if (
        isinstance(random_seed, list | tuple | np.ndarray)
        and np.ndim(random_seed) == 1
        and len(random_seed) > 0
    ):
        numbers = [resolve_seed(number) for number in random_seed]
        return (
            numbers[0]
            if len(numbers) == 1
            else int(np.random.SeedSequence(numbers).generate_state(1)[0])
        )
    if isinstance(random_seed, bool) or not isinstance(random_seed, int | np.integer):
        raise TypeError(
            f"random_seed={random_seed!r}: use a whole number, a NumPy generator or seed sequence, "
            "or None."
        )
    if not 0 <= random_seed < LIMIT:
        raise ValueError(f"random_seed={random_seed}: must be at least 0 and below 2**63.")
    return int(random_seed)


def key_from(seed: int, stream: int = 0) -> jax.Array:
    """The JAX key of a stream of a seed.

    It is made from all bits of the seed, so that different seeds give different keys in either
    precision. Different streams of one seed are independent of each other.
    """
    words = np.random.SeedSequence(seed, spawn_key=(stream,) if stream else ()).generate_state(2)
    return jax.random.wrap_key_data(jax.numpy.asarray(words, dtype=jax.numpy.uint32))


def generator_from(seed: int, stream: int) -> np.random.Generator:
    """NumPy's generator of one stream of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,)))


def derived_seed(seed: int, stream: int) -> int:
    """A whole number of one stream of a seed, where a seed is asked for."""
    return int(np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(1)[0])
