"""The verdict on chains: what each of its four looks sees."""

import numpy as np
import pymc as pm
import pytest

import vi
from vi.auto.worth import worth

CHAINS, STEPS = 4, 1000


@pytest.fixture(scope="module")
def fit():
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0, shape=2)
    return vi.Approximation(vi.families.MeanField(), model=model).record


def chains(**changed):
    """Independent draws of a normal, momenta that change all of the energy, no divergence."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(CHAINS, STEPS, 2))
    statistics = {
        "lp": -0.5 * (points**2).sum(-1),
        "energy": rng.normal(size=(CHAINS, STEPS)),
        "diverging": np.zeros((CHAINS, STEPS), bool),
    } | changed
    return points, statistics


def verdict(fit, points, statistics, **more):
    return worth(fit, points, points.reshape(-1, 2), statistics, 100, **more)


def walking(share):
    """Energies of which a step changes so much: autoregressions, with E-BFMI of 2 (1 - r)."""
    r, rng = 1 - share / 2, np.random.default_rng(2)
    energy = rng.normal(size=(CHAINS, 20 * STEPS))
    for t in range(1, energy.shape[1]):
        energy[:, t] = r * energy[:, t - 1] + np.sqrt(1 - r**2) * energy[:, t]
    return energy


def test_chains_that_agree(fit):
    found = verdict(fit, *chains(), moved=["x"])
    assert found.verdict == "good"
    assert found.why.startswith("4 chains in partly centred coordinates (x): R-hat 1.00")
    assert found.gradients == 100
    more = verdict(fit, *chains(), moved=["a", "b", "c", "d", "e"]).why
    assert "(a, b, c and 2 more)" in more


def test_chains_apart(fit):
    points, statistics = chains()
    points[0] += 3.0
    assert verdict(fit, points, statistics).verdict == "do not use"


@pytest.mark.parametrize(("share", "expected"), [(0.02, "means only"), (0.2, "do not use")])
def test_steps_that_diverge(fit, share, expected):
    diverging = np.zeros((CHAINS, STEPS), bool)
    diverging[:, : int(share * STEPS)] = True
    points, statistics = chains(diverging=diverging)
    found = verdict(fit, points, statistics)
    assert found.verdict == expected
    assert f"{round(share * 4000):,} of 4,000 steps diverged" in found.why


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, "good"), (0.15, "means only"), (0.05, "do not use")]
)
def test_steps_that_hardly_change_the_energy(fit, share, expected):
    """As in a funnel whose chains agree on what they leave out."""
    points, statistics = chains(energy=walking(share))
    found = verdict(fit, points, statistics)
    assert found.verdict == expected
    assert ("E-BFMI" in found.why) == (share < 0.2)


def test_images_have_to_agree_on_the_density(fit):
    points, statistics = chains()
    assert verdict(fit, points, statistics, image="x exchanged").verdict == "good"
    statistics["lp"][0] += 10.0
    found = verdict(fit, points, statistics, image="x exchanged")
    assert found.verdict == "do not use"
    assert "images with the same log p (x exchanged, say)" in found.why
