"""Kernels: what lets particles share scores and keep apart."""

from vi.foundation.registry import import_modules
from vi.kernels.kernel import KERNELS, Kernel, Sums
from vi.kernels.kernel_from import kernel_from
from vi.kernels.pair import PairKernel
from vi.kernels.radial import IMQ, RBF, RadialKernel

__all__ = [
    "IMQ",
    "KERNELS",
    "RBF",
    "Kernel",
    "PairKernel",
    "RadialKernel",
    "Sums",
    "kernel_from",
]

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
