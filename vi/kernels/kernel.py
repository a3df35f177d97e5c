"""Kernels of Stein methods: what makes particles share scores and keep apart."""

from __future__ import annotations

import abc
from typing import NamedTuple

import jax

from vi.foundation.registry import Registry

__all__ = ["KERNELS", "Kernel", "Sums"]


class Sums(NamedTuple):
    r"""What a Stein step needs of a kernel: sums over pairs of points.

    Parameters
    ----------
    attraction : jax.Array
        :math:`\sum_j k(x_j, x_i)\, s_j` for each ``i``, shape ``(n, D)``.
    repulsion : jax.Array
        :math:`\sum_j \nabla_{x_j} k(x_j, x_i)` for each ``i``, shape ``(n, D)``.
    trace : jax.Array
        :math:`\sum_{ij} \mathrm{tr}\, \nabla_{x_i} \nabla_{x_j} k(x_i, x_j)`, a scalar.
    own : jax.Array
        The terms ``j = i`` of attraction and repulsion together, shape ``(n, D)``.
    """

    attraction: jax.Array
    repulsion: jax.Array
    trace: jax.Array
    own: jax.Array


class Kernel(abc.ABC):
    """A symmetric positive definite function of two points; a frozen dataclass of settings."""

    short_name: str
    """Name of the kernel in arguments and files."""

    standardize: bool
    """Whether points come in units of their standard deviations, coordinate by coordinate."""

    @abc.abstractmethod
    def sums(self, points: jax.Array, scores: jax.Array) -> Sums:
        """Return the sums over pairs of a Stein step, from points and scores ``(n, D)``."""


KERNELS: Registry[type[Kernel]] = Registry("kernel", of=Kernel)
"""The kernels by name: ``kernel=`` takes the names, files hold them, contract tests run over all
that are registered."""
