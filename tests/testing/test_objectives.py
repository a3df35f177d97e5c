"""The check of objectives names every fault that it is for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest

import vi
from vi.objectives import ClosedFormEntropy, MonteCarlo, Objective
from vi.testing import check_objective

CALLS = itertools.count()


@dataclass(frozen=True)
class Wrong(MonteCarlo):
    """Right, but for one chosen fault."""

    fault: str = ""
    short_name = "wrong"

    def loss(self, family, params, noises, log_prob):
        if self.fault == "noises":
            noises = jax.tree.map(jnp.ones_like, noises)
        if self.fault == "elsewhere":
            log_prob = (lambda own: lambda z: own(z + 1.0))(log_prob)
        if self.fault == "entropy":
            own = jax.vmap(lambda noise: family.draw(params, noise))(noises)
            return -jnp.mean(log_prob(own)) - family.entropy(params)
        if self.fault == "squared":
            points = jax.vmap(lambda noise: family.draw(params, noise))(noises)
            return super().loss(family, params, noises, log_prob) + 1e-3 * jnp.mean(
                log_prob(points) ** 2
            )
        loss = super().loss(family, params, noises, log_prob)
        still = jax.lax.stop_gradient
        return {
            "vector": lambda: loss * jnp.ones(4),
            "text": lambda: "loss",
            "branch": lambda: loss if loss > 0 else 2 * loss,
            "half type": lambda: loss.astype(jnp.float16),
            "impure": lambda: loss + next(CALLS),
            "uphill": lambda: -loss,
            "half loss": lambda: 0.5 * loss,
            "twice the loss": lambda: 2 * loss,
            "shifted": lambda: loss + 1.0,
            "twice the gradient": lambda: 2 * loss - still(loss),
            "half the gradient": lambda: 0.5 * (loss + still(loss)),
        }.get(self.fault, lambda: loss)()


FAULTS = {
    "text": r"loss\(\) cannot be traced: TypeError: .*str.*returns one number",
    "branch": r"loss\(\) cannot be traced: TracerBoolConversionError",
    "vector": r"loss\(\) must return one number, a JAX scalar; got the shape \(4,\)",
    "half type": r"float32 parameters give a float16 loss; keep float32",
    "elsewhere": r"asks for log p at other points than its draws",
    "impure": r"two calls with the same noises differ",
    "noises": r"asks for log p at other points than its draws|ignores the noises",
    "entropy": r"write needs_entropy = True in the class",
    "squared": r"linear_in_log_p = True does not hold",
    "uphill": r"steps go uphill.*sign of the gradient",
    "half loss": r"minus the ELBO is .*; it is half as large",
    "twice the loss": r"minus the ELBO is .*; it is twice as large",
    "shifted": r"has_elbo says that the loss is minus the ELBO: its mean is",
    "twice the gradient": r"gradient .* not that of the mean loss; it is twice as large",
    "half the gradient": r"gradient .* not that of the mean loss; it is half as large",
}


@pytest.mark.few(1)
@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_fault(fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_objective(Wrong(fault=fault))


@pytest.mark.slow
def test_a_right_one_passes():
    check_objective(Wrong())


@dataclass(frozen=True)
class Bound(Objective):
    """A bound that is minus the ELBO for one draw."""

    short_name = "a_bound"
    loss_name = "minus a bound"
    fewest_draws = 2

    def loss(self, family, params, noises, log_prob):
        points, log_q = jax.vmap(lambda e: family.draw_and_log_prob(params, e))(noises)
        ratios = 0.5 * (log_prob(points) - log_q)
        return -(jax.nn.logsumexp(ratios) - jnp.log(len(ratios))) / 0.5


@dataclass(frozen=True)
class Spread(Bound):
    """The variance of the log ratio: with one draw there is none."""

    ddof: int = 0

    def loss(self, family, params, noises, log_prob):
        points, log_q = jax.vmap(lambda e: family.draw_and_log_prob(params, e))(noises)
        return jnp.var(log_prob(points) - log_q, ddof=self.ddof)


@pytest.mark.slow
def test_one_that_is_no_elbo_passes():
    check_objective(Bound)


def declared(kind, **attributes):
    return type("Declared", (kind,), attributes)()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("objective", "match"),
    [
        (declared(Bound, fewest_draws=1), r"fewest_draws = 1 is too small: with one draw the loss"),
        (declared(Spread, fewest_draws=1), r"fewest_draws = 1 is too small: .* no gradient"),
        (declared(Bound, fewest_draws=0), r"fewest_draws = 0: write a whole number of at least 1"),
        (declared(Bound, fewest_draws=2.0), r"fewest_draws = 2\.0: write a whole number"),
        (declared(Bound, short_name=None), r"short_name = None: write short_name = 'renyi'"),
        (declared(Bound, loss_name="the objective"), r"has no loss_name: write loss_name = "),
        (declared(Bound, loss_name=3), r"loss_name = 3: write loss_name = 'minus the Renyi bound'"),
        (declared(Bound, has_elbo=True), r"has_elbo = True and loss_name = 'minus a bound'"),
        (declared(Bound, linear_in_log_p=1), r"linear_in_log_p = 1: write True or False"),
        (declared(Bound, linear_in_log_p=True), r"linear_in_log_p = True does not hold"),
        (declared(Bound, __hash__=None), r"must be hashable, a frozen dataclass"),
    ],
    ids=str,
)
def test_declarations(objective, match):
    with pytest.raises(AssertionError, match=match):
        check_objective(objective)


def test_a_loss_that_is_not_finite_with_the_fewest_draws():
    with pytest.raises(AssertionError, match=r"fewest_draws = 1 is too small: .* not finite"):
        check_objective(type("Declared", (Spread,), {"fewest_draws": 1})(ddof=1))


@pytest.mark.slow
def test_noise_that_does_not_vanish():
    with pytest.raises(AssertionError, match="noise_vanishes = True does not hold"):
        check_objective(declared(ClosedFormEntropy, noise_vanishes=True))


@pytest.mark.slow
def test_with_another_family():
    check_objective(MonteCarlo(), vi.families.FullRank())


def test_what_is_no_objective():
    class Empty(Objective):
        short_name = "empty"

    with pytest.raises(AssertionError, match=r"has no loss: an objective needs the method loss\("):
        check_objective(Empty)
    with pytest.raises(AssertionError, match=r"expected an objective, .*; got 3"):
        check_objective(3)
