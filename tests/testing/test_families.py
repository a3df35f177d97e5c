"""The check of families sees every kind of fault that it is for."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import vi
from vi.families import MeanField
from vi.testing.densities import check_gradient, check_symmetry


@dataclasses.dataclass(frozen=True)
class Wrong(MeanField):
    """Wrong in one chosen way, to see that the check fails for each."""

    fault: str = ""

    def entropy(self, params):
        value = super().entropy(params)
        if self.fault == "gradient of entropy in 'rho'":
            return jax.lax.stop_gradient(value)
        return value + (0.1 if self.fault == "entropy" else 0.0)

    def log_prob(self, params, z):
        wrong = {"normalisation": 0.1, "score": 0.1 * jnp.sum(params["mu"])}
        return super().log_prob(params, z) + wrong.get(self.fault, 0.0)

    def draw_and_log_prob(self, params, noise):
        z, log_q = super().draw_and_log_prob(params, noise)
        if self.fault == "gradient of draw_and_log_prob":
            return z, jax.lax.stop_gradient(log_q)
        return z, log_q + (0.1 if self.fault == "draw_and_log_prob" else 0.0)

    def log_prob_of_draw(self, params, noise, z):
        log_q = super().log_prob_of_draw(params, noise, z)
        return log_q + (0.1 if self.fault == "log_prob_of_draw" else 0.0)

    def mean(self, params):
        return super().mean(params) + (0.1 if self.fault == "mean" else 0.0)

    def std(self, params):
        return super().std(params) * (1.1 if self.fault == "std" else 1.0)

    def noise(self, key, params):
        if self.fault == "noise ignores the key":
            key = jax.random.key(0)
        noise = super().noise(key, params)
        return noise * params["rho"] if self.fault == "noise must not depend" else noise

    def draw(self, params, noise):
        stopped = {"mu": params["mu"], "rho": jax.lax.stop_gradient(params["rho"])}
        if self.fault == "gradient of draws in 'rho'":  # the right draw, twice the gradient
            params = {"mu": params["mu"], "rho": 2 * params["rho"] - stopped["rho"]}
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
    "log_prob_of_draw",
    "mean",
    "std",
    "units",
    "keys of the parameters",
]
FAULTS += ["noise must not depend", "noise ignores the key", "no gradient in the parameter 'rho'"]
FAULTS += ["gradient of draws in 'rho'", "gradient of draw_and_log_prob"]
FAULTS += ["gradient of entropy in 'rho'"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_faults(fault):
    with pytest.raises(AssertionError, match="normalisation|score" if fault == "score" else fault):
        vi.testing.check_family(Wrong(fault=fault))
    vi.testing.check_family(Wrong(fault=""))


@dataclasses.dataclass(frozen=True)
class HardChoice(MeanField):
    """A mixture of two normals a distance apart, whose draw chooses one of them by a threshold.

    The density is right and so are the moments; the choice has no gradient in the weight.
    """

    apart: float = 4.0
    exact_moments = False
    short_name = "hard_choice"

    def init(self, mean, std, key):
        return super().init(mean, std, key) | {"logit": jnp.zeros(())}

    def units(self, params):
        return super().units(params) | {"logit": jnp.ones(())}

    def noise(self, key, params):
        of_choice, of_draw = jax.random.split(key)
        return jax.random.uniform(of_choice), super().noise(of_draw, params)

    def draw(self, params, noise):
        second = noise[0] < jax.nn.sigmoid(params["logit"])
        return super().draw(params, noise[1]).at[0].add(jnp.where(second, self.apart, 0.0))

    def log_prob(self, params, z):
        first = super().log_prob(params, z)
        second = super().log_prob(params, z.at[0].add(-self.apart))
        return jnp.logaddexp(
            jax.nn.log_sigmoid(-params["logit"]) + first,
            jax.nn.log_sigmoid(params["logit"]) + second,
        )

    def draw_and_log_prob(self, params, noise):
        z = self.draw(params, noise)
        return z, self.log_prob(params, z)

    def entropy(self, params):
        return None


def test_a_choice_without_a_gradient_is_seen():
    params = HardChoice().init(jnp.zeros(2), jnp.ones(2), jax.random.key(0))
    with pytest.raises(
        AssertionError, match="gradient of draws in 'logit' is not that of the dens"
    ):
        check_gradient(HardChoice(), params, 20_000, 0)


@dataclasses.dataclass(frozen=True)
class Elsewhere(MeanField):
    """A density that has nothing to do with the draws, nor with the parameters."""

    short_name = "elsewhere"
    default_estimator = "monte_carlo"

    def entropy(self, params):
        return None

    def log_prob(self, params, z):
        return -jnp.sum(z**2)

    def draw_and_log_prob(self, params, noise):
        z = self.draw(params, noise)
        return z, self.log_prob(params, z)


@pytest.mark.parametrize("dim", [1, 3])
def test_a_density_of_something_else_is_seen(dim):
    with pytest.raises(AssertionError, match="log_prob"):
        vi.testing.check_family(Elsewhere(), dim)


@dataclasses.dataclass(frozen=True)
class Skewed(MeanField):
    """A normal that says of noise that lies above 0 that it is as likely below."""

    fault: str = "one-sided"

    def noise(self, key, params):
        e = super().noise(key, params)
        return jnp.abs(e) if self.fault == "one-sided" else e**2 - 1.0  # of mean 0, and skewed


@pytest.mark.parametrize("fault", ["one-sided", "skewed"])
def test_noise_that_is_not_symmetric_is_seen(fault):
    family = Skewed(fault=fault)
    params = family.init(jnp.zeros(2), jnp.ones(2), jax.random.key(0))
    with pytest.raises(AssertionError, match="noise, which is symmetric"):
        check_symmetry(family, params, 4_000, 0)
    check_symmetry(MeanField(), params, 4_000, 0)


def test_keys_have_no_negative():
    family = dataclasses.replace(vi.families.Flow())
    object.__setattr__(family, "symmetric", True)
    params = family.init(jnp.zeros(2), jnp.ones(2), jax.random.key(0))
    with pytest.raises(AssertionError, match="floating numbers, which have a negative"):
        check_symmetry(family, params, 10, 0)
