"""What a stranger's family must return is said before an approximation of it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.families import Family, MeanField, Normal, Part, PerRow, Product
from vi.families.contract import check_families

DTYPE = np.dtype("float32")


@dataclass(frozen=True)
class Mine(Family):
    """A normal; faults take the place of its functions."""

    short_name = "mine"

    def init(self, mean, std, key):
        return {"mu": mean, "rho": jnp.log(std)}

    def noise(self, key, params):
        return jax.random.normal(key, params["mu"].shape, params["mu"].dtype)

    def draw(self, params, noise):
        return params["mu"] + jnp.exp(params["rho"]) * noise

    def log_prob(self, params, z):
        e = (z - params["mu"]) / jnp.exp(params["rho"])
        return jnp.sum(-0.5 * e**2 - params["rho"] - 0.5 * math.log(2 * math.pi))

    def units(self, params):
        scale = jnp.exp(params["rho"])
        return {"mu": scale, "rho": jnp.ones_like(scale)}


def faulty(**functions):
    return dataclass(frozen=True)(type("Faulty", (Mine,), functions))()


FAULTS = [
    ({"short_name": None}, r"Faulty has short_name = None: give the class a name"),
    ({"init": lambda *a: None}, r"init\(\) of the family 'mine' must return a dict.*got nothing"),
    ({"init": lambda s, mean, *a: mean}, r"must return a dict .*got float32 \(2,\)"),
    ({"init": lambda *a: {"mu": [1.0]}}, r"floating-point numbers by name, got \{'mu': \[1\.0\]\}"),
    ({"init": lambda *a: {"mu": jnp.zeros(2, int)}}, r"floating-point .*'mu': int32 \(2,\)"),
    ({"noise": lambda s, k, p: p["nu"]}, r"noise\(key, params\) .* cannot be traced: KeyError"),
    ({"draw": lambda *a: jnp.ones(3)}, r"draw\(params, noise\).* array \(2,\), got float32 \(3,\)"),
    ({"log_prob": lambda s, p, z: z}, r"log_prob\(params, z\).* array \(\), got float32 \(2,\)"),
    ({"draw_and_log_prob": lambda *a: None}, r"its log q \(\), got nothing"),
    ({"draw_and_log_prob": lambda s, p, e: (e, e)}, r"got \(float32 \(2,\), float32 \(2,\)\)"),
    ({"entropy": lambda s, p: p["mu"]}, r"entropy\(params\).* one number, or None .*\(2,\)"),
    ({"std": lambda *a: jnp.ones(())}, r"std\(params\).* array \(2,\), got float32 \(\)"),
    ({"mean": lambda *a: None}, r"mean\(params\).* array \(2,\), got nothing"),
    ({"cov": lambda *a: jnp.ones(2)}, r"cov\(params\).* array \(2, 2\), got float32 \(2,\)"),
    ({"units": lambda s, p: {"mu": p["mu"]}}, r"units\(params\).*'rho'.*; got \{'mu': "),
    ({"units": lambda s, p: dict.fromkeys(p, 1.0)}, r"got \{'mu': float32 \(\), 'rho'"),
    ({"units": lambda *a: None}, r"units\(params\).*; got nothing"),
]


@pytest.mark.parametrize(("functions", "says"), FAULTS, ids=lambda value: "-".join(value)[:20])
def test_what_a_function_returns_is_looked_at(functions, says):
    with pytest.raises(TypeError, match=says):
        check_families(faulty(**functions), 2, DTYPE)


def test_families_inside_of_others_are_looked_at():
    family = faulty(units=lambda *a: None)
    parts = (Part("a", MeanField(), ((0, 1),)), Part("b", PerRow(family, 2), ((1, 5),)))
    with pytest.raises(TypeError, match=r"units\(params\) of the family 'mine'.*\(2,\)"):
        check_families(Product(parts), 5, DTYPE)
    base = type("Odd", (Normal,), {"log_prob": lambda self, e: e, "__module__": "elsewhere"})()
    with pytest.raises(TypeError, match=r"log_prob.*'mean_field of base Odd'"):
        check_families(MeanField(base), 2, DTYPE)


def test_what_keeps_the_contract_passes():
    check_families(Mine(), 2, DTYPE)
    no_moments = faulty(cov=lambda *a: 1 / 0)
    check_families(no_moments, 2, DTYPE)


def test_an_approximation_is_not_made_of_what_does_not():
    with pm.Model() as model:
        pm.Normal("z")
    with pytest.raises(TypeError, match="of the family 'mine'"):
        vi.Approximation(faulty(std=lambda *a: jnp.ones(3)), model=model)


def test_without_an_estimator_it_says_what_to_set():
    with pm.Model() as model:
        pm.Normal("z")
    approx = vi.Approximation(Mine(), model=model, random_seed=1)
    with pytest.raises(AttributeError, match=r"Mine has no default_estimator: set it .*estimator="):
        vi.KLqp(approx)
    vi.KLqp(approx, estimator="monte_carlo").fit(2, progressbar=False)
