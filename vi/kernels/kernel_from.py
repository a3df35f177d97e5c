"""The kernel that is meant by a name, an object or a function."""

from __future__ import annotations

from typing import Any

from vi.kernels.kernel import Kernel
from vi.kernels.pair import PairKernel
from vi.kernels.radial import IMQ, RBF

__all__ = ["KERNELS", "kernel_from"]


KERNELS: dict[str, type[Kernel]] = {"rbf": RBF, "imq": IMQ}
"""The kernels by the name that ``kernel=`` takes; contract tests run over all of them."""


def kernel_from(given: Any) -> Kernel:
    """The kernel meant by a name, a kernel, or a function of two points."""
    if isinstance(given, Kernel):
        return given
    if isinstance(given, str) and given.lower() in KERNELS:
        return KERNELS[given.lower()]()
    if (
        type(given).__module__ == "pymc.variational.test_functions"
        and type(given).__name__ == "RBF"
    ):
        return RBF()
    if callable(given) and not isinstance(given, type):
        return PairKernel(given)
    if isinstance(given, type) and issubclass(given, Kernel):
        raise TypeError(
            f"kernel={given.__name__} is a class; make one: vi.kernels.{given.__name__}()."
        )
    raise ValueError(
        f"kernel={given!r} is unknown; use {', '.join(map(repr, KERNELS))}, a kernel (vi.kernels.RBF(bandwidth=1.0)) "
        "or a JAX function k(x, y) of two points."
    )
