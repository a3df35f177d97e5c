"""Names in a file that are not registered where it is read."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import vi
from vi.algorithms import ALGORITHMS, Gradient
from vi.approximation.files.encoding import LostError, decode, encode
from vi.families import FAMILIES, MeanField
from vi.objectives import ESTIMATORS, ClosedFormEntropy


@dataclass(frozen=True)
class Theirs(MeanField):
    short_name = "theirs"


@dataclass(frozen=True)
class Bound(ClosedFormEntropy):
    short_name = "bound_of_theirs"


@dataclass(frozen=True)
class Walk(Gradient):
    short_name = "walk_of_theirs"


@pytest.mark.parametrize(("registry", "kind"), [(FAMILIES, Theirs), (ESTIMATORS, Bound)])
def test_a_name_that_is_no_longer_registered(registry, kind):
    registry.register(kind)
    try:
        spec = encode(kind())
        assert decode(spec) == kind()
    finally:
        registry.unregister(kind.short_name)
    with pytest.raises(LostError, match=f"'{kind.short_name}', which is not registered here"):
        decode(spec)


def _density():
    return vi.targets.from_function(lambda z: -0.5 * jnp.sum(z["x"] ** 2), {"x": np.zeros(2)})


def test_a_family_that_is_registered_elsewhere_can_be_given(tmp_path):
    FAMILIES.register(Theirs)
    try:
        approx = vi.Approximation("theirs", model=_density())
        vi.KLqp(approx).fit(5, progressbar=False)
        approx.save(tmp_path / "q.vi")
    finally:
        FAMILIES.unregister("theirs")
    with pytest.raises(ValueError, match=r"family .* has 'theirs', which is not .*family=\.\.\."):
        vi.load(tmp_path / "q.vi", model=_density())
    again = vi.load(tmp_path / "q.vi", model=_density(), family=Theirs())
    np.testing.assert_array_equal(again.mean.eval(), approx.mean.eval())


def test_an_algorithm_that_is_registered_elsewhere(tmp_path):
    class Own(vi.ADVI):
        def algorithm(self, options):
            made = super().algorithm(options)
            return Walk(made.family, made.optimizer, objective=made.objective)

    ALGORITHMS.register(Walk)
    try:
        approx = Own(model=_density()).fit(5, progressbar=False)
        approx.save(tmp_path / "q.vi")
    finally:
        ALGORITHMS.unregister("walk_of_theirs")
    with pytest.raises(ValueError, match="algorithm 'walk_of_theirs', which is not registered"):
        vi.load(tmp_path / "q.vi", model=_density())
