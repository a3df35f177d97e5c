"""The exponential of small numbers is the exponential, to rounding."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from vi.foundation.exponential import exponential
from vi.foundation.precision import precision


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("largest", [0.0, 1e-3, 0.12, 1.0, 50.0])
def test_exponential_to_rounding(dtype, largest):
    with precision(np.dtype(dtype)):
        x = jnp.linspace(-largest, largest, 1_001, dtype=dtype)
        found = np.asarray(exponential(x, largest))
    right = np.exp(np.asarray(x, np.float64))
    # sums of terms that shrink: a rounding of each of the first few, 1 + x + x^2 / 2 and so on;
    # of large numbers it is the library's own, whose error grows with the number
    few = 4 if largest <= 1.0 else 4 * (1 + largest)
    np.testing.assert_allclose(found, right, rtol=few * np.finfo(dtype).eps)


def test_numbers_of_which_nothing_is_known():
    x = jnp.array([0.5, 2.0])
    for largest in (800.0, np.inf, np.nan):
        np.testing.assert_array_equal(exponential(x, largest), jnp.exp(x))
