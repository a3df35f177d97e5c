"""Targets: a PyMC model as one log density of a flat unconstrained vector."""

from vi.targets.base import Batch, Target
from vi.targets.pymc import Backend, from_pymc
from vi.targets.wrap_jax import wrap_jax

__all__ = ["Backend", "Batch", "Target", "from_pymc", "wrap_jax"]
