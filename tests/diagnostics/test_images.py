"""Maps of the flat vector onto itself: which there are, and that they keep volumes."""

import numpy as np
import pytest

from vi.diagnostics.images import images
from vi.foundation.layout import Layout, Slot

MIXTURE = Layout(
    (
        Slot("w", "w_simplex__", 0, 2, (2,), (3,), "simplex"),
        Slot("mu", "mu", 2, 5, (3,), (3,)),
        Slot("sigma", "sigma_log__", 5, 6, (), (), "log"),
    )
)
FACTORS = Layout((Slot("l", "l", 0, 6, (3, 2), (3, 2)), Slot("f", "f", 6, 14, (4, 2), (4, 2))))


def draws(layout, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(rng.normal(0.0, 10.0, layout.dim), 0.1, (50, layout.dim))


def weights(points):
    """The simplex of centred logarithms."""
    whole = np.c_[points[:, :2], -points[:, :2].sum(axis=1)]
    return np.exp(whole) / np.exp(whole).sum(axis=1, keepdims=True)


def named(layout, name):
    found = {image.name: image for image in images(layout, draws(layout), 3.0, 1000)}
    return found[name]


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_entries_of_a_simplex_are_exchanged_with_the_others(first, second):
    image = named(MIXTURE, f"entries {first} and {second} of w and mu exchanged")
    points = draws(MIXTURE)
    moved = image.of(points, MIXTURE)
    order = np.arange(3)
    order[[first, second]] = second, first
    np.testing.assert_allclose(weights(moved), weights(points)[:, order], rtol=1e-10)
    np.testing.assert_array_equal(moved[:, 2:5], points[:, 2:5][:, order])
    np.testing.assert_array_equal(moved[:, 5], points[:, 5])


def test_columns_change_their_signs_together():
    image = named(FACTORS, "the sign of entry 1 of l and entry 1 of f changed")
    points = draws(FACTORS)
    loading, score = (
        part.reshape(50, -1, 2) for part in np.split(image.of(points, FACTORS), [6], axis=1)
    )
    l0, f0 = (part.reshape(50, -1, 2) for part in np.split(points, [6], axis=1))
    # the product of the factors is what it was
    np.testing.assert_allclose(
        np.einsum("sik,sjk->sij", loading, score), np.einsum("sik,sjk->sij", l0, f0), rtol=1e-12
    )
    np.testing.assert_array_equal(loading[..., 0], l0[..., 0])
    np.testing.assert_array_equal(loading[..., 1], -l0[..., 1])


@pytest.mark.parametrize("layout", [MIXTURE, FACTORS])
def test_volumes_are_kept_and_twice_is_nothing(layout):
    unit = np.eye(layout.dim)
    for image in images(layout, draws(layout), 3.0, 1000):
        linear = image.of(unit, layout)
        assert abs(np.linalg.det(linear)) == pytest.approx(1.0)
        np.testing.assert_allclose(linear @ linear, unit, atol=1e-12)


def test_what_stays_where_it_is_is_left_out():
    layout = Layout((Slot("x", "x", 0, 2, (2,), (2,)), Slot("s", "s_log__", 2, 3, (), (), "log")))
    points = np.random.default_rng(0).normal([0.0, 5.0, 4.0], 1.0, (1000, 3))
    names = [image.name for image in images(layout, points, 3.0, 100)]
    assert "the sign of x changed" in names
    assert "the sign of entry 0 of x changed" not in names  # about 0 already
    assert not any(
        "s " in name.split(" of ")[1] for name in names
    )  # a logarithm's sign says nothing


def test_there_are_no_more_than_asked_for():
    assert len(images(FACTORS, draws(FACTORS), 3.0, 7)) == 7
    assert images(Layout(()), np.zeros((5, 0)), 3.0, 7) == []


def test_long_axes_and_wide_models_take_no_time():
    """An axis of a thousand entries is left alone, of eighty few neighbours are exchanged."""
    long = Layout((Slot("z", "z", 0, 1000, (1000,), (1000,)),))
    assert {image.name for image in images(long, draws(long), 3.0, 1000)} == {
        "the sign of z changed"
    }
    some = Layout((Slot("z", "z", 0, 80, (80,), (80,)),))
    found = images(some, draws(some), 3.0, 1000)
    assert len([image for image in found if image.exchanges]) <= 3
    # each entry has data of its own, so that one sign says nothing of another's
    assert len(found) > 10
