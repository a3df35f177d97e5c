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
from vi.families.composed.part import Part
from vi.families.composed.per_row import PerRow
from vi.families.composed.product import Product
from vi.families.family import FAMILIES, Family, Frame, Noise, Params
from vi.families.flow import Flow
from vi.families.full_rank import FullRank
from vi.families.low_rank import LowRank
from vi.families.mean_field import MeanField
from vi.families.mixture import Mixture
from vi.families.noncentred import Noncentred
from vi.families.particles import Particles
from vi.families.point import Point
from vi.families.structured import Structured
from vi.foundation.registry import import_modules

__all__ = [
    "BASES",
    "FAMILIES",
    "Base",
    "Elliptical",
    "Encoded",
    "Encoder",
    "Family",
    "Flow",
    "Frame",
    "FullRank",
    "Laplace",
    "Logistic",
    "LowRank",
    "MeanField",
    "Mixture",
    "MultivariateT",
    "Noise",
    "Noncentred",
    "Normal",
    "Params",
    "Part",
    "Particles",
    "PerRow",
    "Point",
    "Product",
    "Structured",
    "StudentT",
]

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
