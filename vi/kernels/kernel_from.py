"""The kernel that is meant by a name, an object or a function."""

from __future__ import annotations

import inspect
from typing import Any

from vi.kernels.kernel import KERNELS, Kernel
from vi.kernels.pair import PairKernel
from vi.kernels.radial import RBF

__all__ = ["kernel_from"]


def kernel_from(given: Any) -> Kernel:
    """The kernel meant by a name, a kernel, its class, or a function of two points."""
    # PyMC's users write kernel=pm.test_functions.rbf, an object of its class RBF
    if (
        type(given).__module__ == "pymc.variational.test_functions"
        and type(given).__name__ == "RBF"
    ):
        return RBF()
    if callable(given) and not inspect.isclass(given) and not isinstance(given, Kernel):
        return PairKernel(given)
    kernel: Kernel = KERNELS.instance("kernel", given, also="a JAX function k(x, y) of two points")
    return kernel
