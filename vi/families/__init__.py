"""Variational families: what ``q`` can be."""

from vi.families.base_distributions import (
    BASES,
    Base,
    Elliptical,
    Laplace,
    Logistic,
    MultivariateT,
    Normal,
    StudentT,
)
from vi.families.composed.encoder import Encoded, Encoder
from vi.families.composed.per_row import PerRow
from vi.families.composed.product import Part, Product
from vi.families.family import Family, Noise, Params
from vi.families.flow import Flow
from vi.families.full_rank import FullRank
from vi.families.low_rank import LowRank
from vi.families.mean_field import MeanField
from vi.families.particles import Particles

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
    family.short_name: family
    for family in (MeanField, FullRank, LowRank, Flow, Particles, PerRow, Product)
}
"""The families by the name under which a saved approximation finds them; contract tests run over
all of them.
"""
