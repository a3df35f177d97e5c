"""Contracts as public checks, for those who write a part of their own."""

from vi.testing.algorithms import check_algorithm
from vi.testing.callbacks import check_callback
from vi.testing.families import check_family
from vi.testing.kernels import check_kernel
from vi.testing.objectives import check_objective
from vi.testing.optimizers import check_optimizer
from vi.testing.sources import check_source

__all__ = [
    "check_algorithm",
    "check_callback",
    "check_family",
    "check_kernel",
    "check_objective",
    "check_optimizer",
    "check_source",
]
