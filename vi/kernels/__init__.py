"""Kernels: what lets particles share scores and keep apart."""

from vi.kernels.kernel import Kernel
from vi.kernels.kernel_from import KERNELS, kernel_from
from vi.kernels.pair import PairKernel
from vi.kernels.radial import IMQ, RBF, RadialKernel

__all__ = ["IMQ", "KERNELS", "RBF", "Kernel", "PairKernel", "RadialKernel", "kernel_from"]
