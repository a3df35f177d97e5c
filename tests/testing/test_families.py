"""The check of families sees every kind of fault that it is for."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import vi
from vi.families import MeanField


@dataclasses.dataclass(frozen=True)
class Wrong(MeanField):
    """Wrong in one chosen way, to see that the check fails for each."""

    fault: str = ""

    def entropy(self, params):
        return super().entropy(params) + (0.1 if self.fault == "entropy" else 0.0)

    def log_prob(self, params, z):
        wrong = {"normalisation": 0.1, "score": 0.1 * jnp.sum(params["mu"])}
        return super().log_prob(params, z) + wrong.get(self.fault, 0.0)

    def draw_and_log_prob(self, params, noise):
        z, log_q = super().draw_and_log_prob(params, noise)
        return z, log_q + (0.1 if self.fault == "draw_and_log_prob" else 0.0)

    def mean(self, params):
        return super().mean(params) + (0.1 if self.fault == "mean" else 0.0)

    def std(self, params):
        return super().std(params) * (1.1 if self.fault == "std" else 1.0)

    def noise(self, key, params):
        noise = super().noise(key, params)
        return noise * params["rho"] if self.fault == "noise must not depend" else noise

    def draw(self, params, noise):
        stopped = {"mu": params["mu"], "rho": jax.lax.stop_gradient(params["rho"])}
        return super().draw(
            stopped if self.fault == "no gradient in the parameter 'rho'" else params, noise
        )

    def units(self, params):
        units = super().units(params)
        if self.fault == "keys of the parameters":
            return {"mu": units["mu"]}
        return {"mu": units["mu"], "rho": -units["rho"]} if self.fault == "units" else units


FAULTS = [
    "entropy",
    "normalisation",
    "score",
    "draw_and_log_prob",
    "mean",
    "std",
    "units",
    "keys of the parameters",
]
FAULTS += ["noise must not depend", "no gradient in the parameter 'rho'"]


@pytest.mark.few(3)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_faults(fault):
    with pytest.raises(AssertionError, match="normalisation|score" if fault == "score" else fault):
        vi.testing.check_family(Wrong(fault=fault))
    vi.testing.check_family(Wrong(fault=""))
