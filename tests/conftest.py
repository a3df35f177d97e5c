"""Shared by all tests: random numbers fixed by the test's name, and a check that JAX's 64-bit
flag stays as it was.
"""

import ctypes
import gc
import os
import re
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable
from seeds import OFFSET, seed, shift

# Importing PyTensor's JAX conversions switches JAX to 64 bits for the whole process. The library
# has to work without that: import them here, in whatever order the tests come, and put the flag
# back.
_x64 = bool(jax.config.jax_enable_x64)
import pytensor.link.jax.dispatch  # noqa: E402, F401

jax.config.update("jax_enable_x64", _x64)

if OFFSET:
    shift("vi.foundation.seeds", "key_from", 0)  # fits, starts, chains and draws
    shift("vi.approximation.results.node_randomness", "streams", 1)  # nodes


def _seed(request: pytest.FixtureRequest) -> int:
    return seed(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """NumPy's random numbers, the same in every run of this test."""
    return np.random.default_rng(_seed(request))


@pytest.fixture
def key(request: pytest.FixtureRequest) -> jax.Array:
    """A JAX random key, the same in every run of this test."""
    return jax.random.key(_seed(request))


@pytest.fixture
def strict_ranks() -> Iterator[None]:
    """No silent broadcasting between ranks in `jax.numpy`: for our own code.

    Graphs from PyTensor may need it.
    """
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(autouse=True)
def x64_flag_is_left_alone() -> Iterator[None]:
    """The library never changes JAX's process-wide precision: the flag is at the end what it was
    at the start.
    """
    before = bool(jax.config.jax_enable_x64)
    yield
    after = bool(jax.config.jax_enable_x64)
    jax.config.update("jax_enable_x64", before)
    assert after == before, f"jax_enable_x64 was {before} before the test and is {after} after it"


FORGOTTEN_EVERY = 200
"""Tests after which JAX forgets what it has compiled, and garbage is collected (half a second).

Compiled code hangs in cycles of few and small Python objects, of which Python's own collector takes
no notice, and JAX keeps 1.4 MB for each operation of each shape: a worker grew by 8 MB a test, to
several GB.
"""


UNTIL = float(os.environ.get("VI_SLOW_TESTS_UNTIL", "inf"))
"""Seconds since the epoch after which no slow test begins: a machine that is three times slower
than usual ends with those that it could do, and says how many it left out."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out slow tests once the time is over."""
    if item.get_closest_marker("slow") and time.time() > UNTIL:
        pytest.skip("the time is over (VI_SLOW_TESTS_UNTIL)")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Give memory back after every so many tests."""
    done = item.session.stash.get(_DONE, 0) + 1
    item.session.stash[_DONE] = done
    if done % FORGOTTEN_EVERY == 0:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)


_DONE = pytest.StashKey[int]()


def pytest_collection_finish() -> None:
    """Leave the libraries' own objects out of garbage collection, which looks at them in vain.

    They are some 300,000, and graphs make garbage fast: a twentieth of the tests' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


# Symbolic moments are evaluated in hundreds of tests, each time in a new graph; what compiles them
# is not what these tests are about (tests of nodes choose their modes). Interpreted they take
# milliseconds in place of a second.
INTERPRETED = Mode("py", "fast_compile")
_eval = Variable.eval


def _interpreted(self: Variable, inputs_to_values: Any = None, **kwargs: Any) -> Any:
    return _eval(self, inputs_to_values, **{"mode": INTERPRETED} | kwargs)


Variable.eval = _interpreted


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that differ between processes, and mark variants slow.

    ``few(n)``: of a test's variants, ``n`` evenly spread ones are quick, the others slow. What
    each variant costs is a compilation of its own; what it shows, its siblings show too.
    """
    addresses = [item.nodeid for item in items if re.search(r"\b0x[0-9a-f]{6,}", item.nodeid)]
    if addresses:
        raise pytest.UsageError(f"names with an address are another in each worker: {addresses}")
    variants: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("few"):
            variants.setdefault((str(item.path), item.originalname), []).append(item)
    for several in variants.values():
        quick = several[0].get_closest_marker("few").args[0]
        plain = [item for item in several if not item.get_closest_marker("slow")]
        kept = {round(i * (len(plain) - 1) / max(quick - 1, 1)) for i in range(quick)}
        for i, item in enumerate(plain):
            if i not in kept:
                item.add_marker(pytest.mark.slow)
