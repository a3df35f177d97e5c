"""Compilation: options that XLA may not know, and arrays that JAX has met in another precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vi.foundation.compiling import HASTY, jitted, known_options
from vi.foundation.precision import precision


def test_options_that_xla_does_not_know_are_left_out():
    assert known_options(*HASTY.items()) == HASTY
    assert known_options(("xla_of_another_time", True)) == {}
    assert jitted(jnp.square, {"xla_of_another_time": True})(3.0) == 9.0


@pytest.mark.parametrize("options", [None, HASTY])
def test_an_array_that_two_precisions_meet(options):
    """Else JAX 0.12 fails in the second one."""
    data = np.array([0.5, 1.5])
    for name in ("float64", "float32") * 2:
        # a new function each time, as each fit of a model in a precision compiles its own
        score = jitted(jax.grad(lambda x: jnp.sum((data - x) ** 2)), options)
        with precision(np.dtype(name)):
            got = score(jnp.zeros((), name))
        assert got.dtype == name
        assert got == -4.0


def test_arguments_by_name():
    assert jitted(lambda x, by: x * by)(2.0, by=3.0) == 6.0
