"""Variational families: what ``q`` can be."""

from vi.families.base import Family, Params
from vi.families.full_rank import FullRankNormal
from vi.families.mean_field import MeanFieldNormal

__all__ = ["FAMILIES", "Family", "FullRankNormal", "MeanFieldNormal", "Params"]

FAMILIES: dict[str, type[Family]] = {family.short_name: family for family in (MeanFieldNormal, FullRankNormal)}
"""The families by the name under which a saved approximation finds them; contract tests run over all of them."""
