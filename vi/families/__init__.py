"""Variational families: what ``q`` can be."""

from vi.families.base import Family, Noise, Params
from vi.families.bases import BASES, Base, Elliptical, Laplace, Logistic, MultivariateT, Normal, StudentT
from vi.families.encoder import Encoded, Encoder
from vi.families.flow import Flow
from vi.families.full_rank import FullRank
from vi.families.low_rank import LowRank
from vi.families.mean_field import MeanField
from vi.families.particles import Particles
from vi.families.per_row import PerRow
from vi.families.product import Part, Product

__all__ = [
    "BASES",
    "FAMILIES",
    "Base",
    "Elliptical",
    "Encoded",
    "Encoder",
    "Family",
    "Flow",
    "FullRank",
    "Laplace",
    "Logistic",
    "LowRank",
    "MeanField",
    "MultivariateT",
    "Noise",
    "Normal",
    "Params",
    "Part",
    "Particles",
    "PerRow",
    "Product",
    "StudentT",
]

FAMILIES: dict[str, type[Family]] = {
    family.short_name: family for family in (MeanField, FullRank, LowRank, Flow, Particles, PerRow, Product)
}
"""The families by the name under which a saved approximation finds them; contract tests run over all of them."""
