"""A product of families is their product."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from vi.families import Flow, FullRank, Laplace, MeanField, Part, Product
from vi.foundation.precision import precision
from vi.testing.samples import perturbed


@pytest.mark.slow
def test_product_is_the_product():
    parts = (
        Part("ends", FullRank(), ((0, 1), (3, 4))),
        Part("middle", MeanField(Laplace()), ((1, 3),)),
    )
    family = Product(parts)
    with precision(np.dtype("float64")):
        params = perturbed(family, 4, 1, np.dtype("float64"))
        own = family.split(params)
        z = jnp.arange(4.0)
        parts = [
            part.family.log_prob(p, z[part.entries])
            for part, p in zip(family.parts, own, strict=True)
        ]
        assert float(family.log_prob(params, z)) == pytest.approx(float(sum(parts)))
        entropies = [part.family.entropy(p) for part, p in zip(family.parts, own, strict=True)]
        assert float(family.entropy(params)) == pytest.approx(float(sum(entropies)))
        cov = np.asarray(family.cov(params))
        for part, p in zip(family.parts, own, strict=True):
            np.testing.assert_allclose(cov[np.ix_(part.entries, part.entries)], part.family.cov(p))
        assert np.all(cov[np.ix_([0, 3], [1, 2])] == 0)
        assert cov[0, 3] != 0


@dataclass(frozen=True)
class WithoutEntropy(MeanField):
    """A family whose author has no formula for its entropy."""

    short_name = "without_entropy"
    default_estimator = "sticking_the_landing"

    def entropy(self, params):
        return None


@pytest.mark.parametrize(
    ("other", "estimator"),
    [
        (MeanField(), "closed_form"),
        (FullRank(), "closed_form"),
        (WithoutEntropy(), "sticking_the_landing"),
        (Flow(), "monte_carlo"),
    ],
    ids=lambda value: getattr(value, "short_name", value),
)
def test_the_default_estimator_suits_every_part(other, estimator):
    family = Product((Part("a", MeanField(), ((0, 2),)), Part("b", other, ((2, 4),))))
    assert family.default_estimator == estimator
