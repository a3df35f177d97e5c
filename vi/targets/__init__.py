"""Targets: a PyMC model, or a JAX log density, as a log density of a flat vector."""

from vi.models.density_model import DensityModel
from vi.models.from_function import from_function
from vi.models.from_numpyro import from_numpyro
from vi.models.wrap_jax import wrap_jax
from vi.targets.base import Batch, Target
from vi.targets.from_pymc import Backend, from_pymc

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
