"""Base distributions: each under a mean-field family, by the Jacobian, and against SciPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from family_in_brief import check_in_brief

import vi
from vi.families import BASES, FullRank, Laplace, MeanField, MultivariateT, StudentT
from vi.foundation.precision import precision
from vi.testing.samples import perturbed


def test_every_base_can_be_made_by_its_name():
    assert set(BASES) == set(BASES.standalone)


@pytest.mark.parametrize("base", BASES)
def test_contract_in_brief(base):
    """Quick for every registered base; `test_contract` is thorough."""
    check_in_brief(MeanField(BASES[base]()))


@pytest.mark.slow
@pytest.mark.parametrize("base", list(BASES))
def test_contract(base):
    vi.testing.check_family(MeanField(BASES[base]()), 2)


@pytest.mark.few(2)
@pytest.mark.parametrize("base", list(BASES))
@pytest.mark.parametrize("family", [MeanField, FullRank])
def test_draws_and_density_by_the_jacobian(family, base):
    """log q(z) = log p(noise) - log |det dz / dnoise|."""
    family = family(BASES[base]())
    with precision(np.dtype("float64")):
        params = perturbed(family, 3, 1, np.dtype("float64"))
        noise = family.noise(jax.random.key(0), params)
        jacobian = jax.jacobian(lambda e: family.draw(params, e))(noise)
        expected = family.base.log_prob(noise) - jnp.linalg.slogdet(jacobian)[1]
        assert float(family.log_prob(params, family.draw(params, noise))) == pytest.approx(
            float(expected), rel=1e-10
        )


def test_bases_against_scipy():
    e = np.linspace(-3, 3, 7)
    with precision(np.dtype("float64")):
        for base, theirs in (
            (StudentT(4.5), scipy.stats.t(4.5)),
            (Laplace(), scipy.stats.laplace()),
            (vi.families.Logistic(), scipy.stats.logistic()),
            (vi.families.Normal(), scipy.stats.norm()),
        ):
            assert float(base.log_prob(jnp.asarray(e))) == pytest.approx(
                theirs.logpdf(e).sum(), rel=1e-12
            )
            assert float(base.entropy(7)) == pytest.approx(7 * theirs.entropy(), rel=1e-9)
            assert base.std == pytest.approx(theirs.std())
        spherical = scipy.stats.multivariate_t(np.zeros(7), np.eye(7), df=4.5)
        assert float(MultivariateT(4.5).log_prob(jnp.asarray(e))) == pytest.approx(
            spherical.logpdf(e), rel=1e-12
        )
        assert float(MultivariateT(4.5).entropy(7)) == pytest.approx(spherical.entropy(), rel=1e-9)
