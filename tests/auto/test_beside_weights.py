"""Chains that agree, beside the weights of draws that were wider than q."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

import vi
from vi.auto.beside_weights import beside_weights
from vi.diagnostics import Diagnosis
from vi.diagnostics.diagnosis import by_coordinate

LABELS = ["x", "y"]


def of_chains(mean, sd, verdict="good"):
    columns = {"mean": np.zeros(2), "sd": np.ones(2)}
    columns |= {"chains_mean": np.array(mean), "chains_sd": np.array(sd)}
    table = by_coordinate(columns, LABELS)
    return Diagnosis(verdict, "4 chains", "", np.nan, np.nan, np.nan, np.nan, table, np.nan, 1)


def of_q(mean, sd, ess, error=0.0):
    columns = {"mean": np.zeros(2), "sd": np.ones(2)}
    columns |= {"wide_mean": np.array(mean), "wide_sd": np.array(sd)}
    columns |= {f"wide_error_{what}": np.full(2, error) for what in ("mean", "sd")}
    table = by_coordinate(columns, LABELS)
    parts = ("do not use", "", "", -1.0, 0.1, 0.9, 900.0, table, 0.8, 1_000)
    return Diagnosis(*parts, wide_ess=ess)


@pytest.mark.parametrize(
    ("mean", "sd", "ess", "verdict"),
    [
        ([0.0, 0.0], [0.0, 0.0], 900.0, "good"),
        ([0.0, 0.0], [0.0, 0.8], 900.0, "means only"),
        ([0.9, 0.0], [0.0, 0.8], 900.0, "do not use"),
        ([0.0, 0.0], [0.0, 0.8], 150.0, "good"),
        ([0.0, 0.0], [0.0, 0.8], np.nan, "good"),
        # chains that are wider have seen more; three errors of two hundred draws are a fifth
        ([0.0, 0.0], [0.0, -0.8], 900.0, "good"),
        ([0.3, 0.0], [0.0, 0.0], 201.0, "good"),
        # in units of the sd that the weights give
        ([0.6, 0.0], [1.5, 0.0], 900.0, "means only"),
    ],
)
def test_what_the_weights_know(mean, sd, ess, verdict):
    found = beside_weights(of_chains([0.0, 0.0], [0.0, 0.0]), of_q(mean, sd, ess))
    assert found.verdict == verdict
    assert ("there is mass that chains missed" in found.why) == (verdict != "good")


def test_chains_that_went_farther_than_the_draws():
    """The scale of effects that are hardly there: a tail of a hundred sds of q."""
    weights = of_q([-40.0, 0.0], [2.0, 0.0], 900.0)
    assert beside_weights(of_chains([-60.0, 0.0], [2.0, 0.0]), weights).verdict == "do not use"
    far = of_chains([-60.0, 0.0], [np.log(50.0), 0.0])
    assert beside_weights(far, weights) is far


@pytest.mark.parametrize(("error", "verdict"), [(0.1, "do not use"), (0.2, "good")])
def test_a_few_draws_with_much_of_the_weight(error, verdict):
    """0.6 sds are beyond three of the smaller errors, and within three of the larger ones."""
    weights = of_q([0.6, 0.0], [0.0, 0.0], 900.0, error)
    assert beside_weights(of_chains([0.0, 0.0], [0.0, 0.0]), weights).verdict == verdict


def test_what_is_left_alone():
    away = of_q([9.0, 0.0], [0.0, 0.0], 900.0)
    bad = of_chains([0.0, 0.0], [0.0, 0.0], "do not use")
    assert beside_weights(bad, away) is bad
    good = of_chains([0.0, 0.0], [0.0, 0.0])
    nothing = replace(away, table=away.table.drop_vars(["wide_error_mean", "wide_error_sd"]))
    assert beside_weights(good, nothing) is good
    # without moments sds do not agree
    tails = replace(good, tails="x has no variance")
    assert beside_weights(tails, of_q([0.0, 0.0], [0.8, 0.0], 900.0)) is tails


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_far_hump_of_a_hundredth_is_not_lost_in_silence(seed):
    """The sd by quadrature is 0.83, and 0.7 per cent of the mass is below 0."""
    with pm.Model() as model:
        c = pm.Normal("c", 0.0, 20.0)
        pm.Cauchy("y", c, 0.6, observed=[-4.0, -3.6, 5.0, 5.3, 5.5])
    approx = vi.fit(model=model, random_seed=seed, progressbar=False)
    grid = np.linspace(-15.0, 15.0, 30_001)
    log_p = -0.5 * (grid / 20.0) ** 2
    for y in (-4.0, -3.6, 5.0, 5.3, 5.5):
        log_p -= np.log1p(((y - grid) / 0.6) ** 2)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    sd = np.sqrt(p @ (grid - p @ grid) ** 2)
    drawn = float(approx.sample(4_000, random_seed=1)["posterior"]["c"].std())
    assert approx.diagnosis.verdict != "good" or abs(np.log(drawn / sd)) < 0.3
