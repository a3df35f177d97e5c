"""The kernel that a name, a class, an object or a function means."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from pymc.variational.test_functions import rbf

from vi.kernels import IMQ, RBF, PairKernel, kernel_from


def test_names_classes_and_objects():
    assert kernel_from("RBF") == kernel_from(RBF) == kernel_from(RBF()) == kernel_from(rbf) == RBF()
    assert kernel_from(IMQ(bandwidth=2)) == IMQ(bandwidth=2.0)


def test_functions():
    def k(x, y):
        return jnp.exp(-jnp.sum((x - y) ** 2))

    assert kernel_from(k) == PairKernel(k)


@pytest.mark.parametrize(
    ("kernel", "error"), [("rbfx", ValueError), (3, TypeError), (int, TypeError), (None, TypeError)]
)
def test_what_is_no_kernel(kernel, error):
    with pytest.raises(error, match="'rbf', 'imq'"):
        kernel_from(kernel)
