"""Targets: a PyMC model, or a JAX log density, as one log density of a flat unconstrained vector."""

from vi.targets.base import Batch, Target
from vi.targets.density_model import DensityModel
from vi.targets.function import from_function
from vi.targets.numpyro_model import from_numpyro
from vi.targets.pymc import Backend, from_pymc
from vi.targets.wrap_jax import wrap_jax

__all__ = [
    "Backend",
    "Batch",
    "DensityModel",
    "Target",
    "from_function",
    "from_numpyro",
    "from_pymc",
    "wrap_jax",
]
