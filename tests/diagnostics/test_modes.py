"""What other fits say against one: nothing, that it is elsewhere, or that there are two places."""

from __future__ import annotations

import numpy as np
import pytest

from vi.diagnostics.modes import Found, has_valley, rival, table_of_modes

LABELS = ["a", "b"]
SMALL = 0.2


def found(name="other", elbo=0.0, mean=(0.0, 0.0), std=(1.0, 1.0), error=0.01):
    return Found(name, elbo, error, np.array(mean), np.array(std))


Q = found("q")


@pytest.mark.parametrize(
    "other",
    [
        found(elbo=5.0, mean=(2.0, 0.0)),  # the same place: importance weights see what is wrong
        found(elbo=-9.0, mean=(20.0, 0.0)),  # e^-9 of the mass
        found(elbo=-np.inf, mean=(20.0, 0.0)),
        found(elbo=-9.0, mean=(np.nan, 0.0)),
        found(elbo=0.0, mean=(20.0, 0.0), std=(10.0, 1.0)),  # it reaches q
    ],
)
def test_nothing(other):
    assert rival([Q, other], LABELS, SMALL) is None


def test_elsewhere():
    better = rival([Q, found(elbo=2.0, mean=(0.0, 10.0), std=(1.0, 3.0))], LABELS, SMALL)
    assert better.ahead
    assert (better.where, better.distance, better.gap) == ("b", 10.0, 2.0)
    assert better.narrower == 3.0
    noisy = rival([Q, found(elbo=2.0, mean=(0.0, 10.0), error=1.0)], LABELS, SMALL)
    assert not noisy.ahead


def test_two_places_move_mean_and_sd_by_their_shares():
    """Equal ELBOs: the mean is in the middle, the variance 1 + (distance / 2)^2."""
    equal = rival([Q, found(mean=(6.0, 0.0))], LABELS, SMALL)
    assert not equal.ahead
    assert equal.mean == pytest.approx(3.0)
    assert equal.sd == pytest.approx(0.5 * np.log(1 + 9.0))
    few = rival([Q, found(elbo=-5.0, mean=(20.0, 0.0))], LABELS, SMALL)
    assert few.mean < SMALL < few.sd


def test_the_best_of_several_is_named():
    others = [found(f"start {i}", elbo, mean=(9.0, 0.0)) for i, elbo in enumerate((1.5, 4.0, 3.0))]
    assert rival([Q, *others], LABELS, SMALL).name == "start 1"


def test_the_table():
    table = table_of_modes([Q, found(elbo=-1.0, mean=(6.0, 0.0))], LABELS)
    assert list(table["mode"].values) == ["q", "other"]
    assert table["mode_distance"].values.tolist() == [0.0, 6.0]
    assert table["mode_mean"].dims == ("mode", "unconstrained")


@pytest.mark.parametrize(("apart", "valley"), [(1.9, False), (3.0, True), (8.0, True)])
def test_two_normals_have_a_valley_from_three_sds_on(apart, valley):
    """At two sds and less a mixture of two equal normals has one mode."""
    x = np.linspace(0, apart, 17)
    along = np.logaddexp(-0.5 * x**2, -0.5 * (x - apart) ** 2)
    assert has_valley(along) is valley


def test_a_concave_density_has_none():
    x = np.linspace(-3, 1, 17)
    assert not has_valley(-0.5 * x**2)
    assert not has_valley(-np.abs(x))
    assert not has_valley(np.full(17, -1e6))


def test_where_log_p_is_not_finite_there_is_one():
    along = np.zeros(17)
    along[8] = -np.inf
    assert has_valley(along)
    along[8] = np.nan
    assert has_valley(along)
