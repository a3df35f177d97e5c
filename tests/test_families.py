"""Contract tests that every family falls under by being listed in `vi.families.FAMILIES`."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi
from vi.families import FAMILIES, MeanField
from vi.precision import precision


@pytest.fixture(params=list(FAMILIES.values()), ids=list(FAMILIES))
def family(request):
    return request.param()


@pytest.mark.parametrize("dim", [1, 4])
def test_contract(family, dim):
    vi.testing.check_family(family, dim)


def test_settings_only(family):
    assert dataclasses.is_dataclass(family)
    assert type(family).__dataclass_params__.frozen
    assert family == type(family)(**dataclasses.asdict(family))


def test_draws_and_density_by_the_jacobian(family):
    """log q(z) = log N(noise) - log |det dz / dnoise|."""
    with precision(np.dtype("float64")):
        params = vi.testing._perturbed(family, 3, 1, np.dtype("float64"))
        noise = family.noise(jax.random.key(0), params)
        jacobian = jax.jacobian(lambda e: family.draw(params, e))(noise)
        expected = jnp.sum(jax.scipy.stats.norm.logpdf(noise)) - jnp.linalg.slogdet(jacobian)[1]
        assert float(family.log_prob(params, family.draw(params, noise))) == pytest.approx(float(expected), rel=1e-10)


@dataclasses.dataclass(frozen=True)
class Wrong(MeanField):
    """Wrong in one chosen way, to see that the check fails for each."""

    fault: str = ""

    def entropy(self, params):
        return super().entropy(params) + (0.1 if self.fault == "entropy" else 0.0)

    def log_prob(self, params, z):
        return super().log_prob(params, z) + (0.1 if self.fault == "normalisation" else 0.0)

    def mean(self, params):
        return super().mean(params) + (0.1 if self.fault == "mean" else 0.0)

    def std(self, params):
        return super().std(params) * (1.1 if self.fault == "std" else 1.0)

    def units(self, params):
        units = super().units(params)
        return {"mu": units["mu"]} if self.fault == "units" else units


@pytest.mark.parametrize("fault", ["entropy", "normalisation", "mean", "std", "units"])
def test_the_check_sees_faults(fault):
    with pytest.raises(AssertionError, match=fault):
        vi.testing.check_family(Wrong(fault))
    vi.testing.check_family(Wrong(""))
