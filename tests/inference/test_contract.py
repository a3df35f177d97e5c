"""What a stranger's method must declare, take and return is said before anything is fitted."""

from __future__ import annotations

import pymc as pm
import pytest

import vi
from vi.algorithms import Gradient
from vi.inference.one_shot import OneShot


@pytest.fixture(scope="module")
def model():
    with pm.Model() as built:
        pm.Normal("z")
    return built


class Mine(vi.Inference):
    """Faults are subclasses."""

    def __init__(self, **options):
        super().__init__(vi.MeanField(**options))

    def algorithm(self, options):
        return Gradient(self.approx.family, options.optimizer)


class NoModel(Mine):
    def __init__(self, rate=1.0):
        self.rate = rate


class NoSeed(Mine):
    def __init__(self, model, rate=1.0):
        super().__init__(model=model)


class Needs(Mine):
    def __init__(self, model, rate, **options):
        super().__init__(model=model, **options)


class Silent(Mine):
    def __init__(self, **options):
        pass


class Nothing(Mine):
    def algorithm(self, options):
        pass


class AClass(Mine):
    def algorithm(self, options):
        return Gradient


class AtOnce(OneShot):
    def solve(self, fit, n):
        return fit


class InOneGo(Mine):
    def algorithm(self, options):
        return AtOnce()


class InSteps(Mine):
    stepwise = False


class Raw(Mine):
    averages = False


def fit(model, method, **options):
    return vi.fit(2, method, model, progressbar=False, **options)


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        (NoModel, {}, r"NoModel does not take model=.*NoModel\(approx\).*\*\*options"),
        (NoSeed, {"random_seed": 1}, r"random_seed=1 is not taken by NoSeed, .*model, rate"),
        (Needs, {}, r"method=Needs needs rate: give it in inf_kwargs"),
        ("advi", {"inf_kwargs": {"bas": 1}}, r"inf_kwargs has 'bas'.*ADVI.*mean 'base'\?"),
        ("advi", {"inf_kwargs": {"rank": 1}}, r"inf_kwargs has 'rank'.* takes base, .*dtype"),
        ("laplace", {"start_sigma": {"z": 1}}, r"start_sigma=.* not taken by Laplace.*it out\.$"),
        ("advi", {"inf_kwargs": [1]}, r"inf_kwargs=\[1\]: give a dict"),
        (Nothing, {}, r"algorithm\(options\) of Nothing must return .*got nothing"),
        (AClass, {}, r"got the class Gradient; make one, Gradient\(\.\.\.\)"),
        (InOneGo, {}, r"InOneGo returned a OneShot: declare stepwise = False"),
        (InSteps, {}, r"InSteps returned an Algorithm: declare stepwise = True"),
        (Raw, {"averaging": "polynomial"}, r"Raw reports its iterates as they are"),
        ("svgd", {"averaging": "polynomial"}, r"SVGD reports its particles as they are"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_what_cannot_be_run_is_refused(model, method, options, says):
    with pytest.raises(TypeError, match=says):
        fit(model, method, **options)


def test_profiling_looks_too(model):
    with pytest.raises(TypeError, match="got nothing"):
        Nothing(model=model).run_profiling(1)


def test_options_that_are_not_declared_are_handed_on(model):
    assert fit(model, Mine, random_seed=3, inf_kwargs={"dtype": "float32"}).random_seed == 3


def test_without_the_init_of_the_class_above(model):
    one = Silent()
    assert repr(one) == "<Silent without an approximation>"
    for use in (lambda: one.hist, lambda: one.fit(1), lambda: one.refine(1)):
        with pytest.raises(AttributeError, match=r"Silent has no approximation.*super\(\)"):
            use()


@pytest.mark.parametrize("name", ["mean_feild", "gamma_mixture", 3])
def test_a_family_that_there_is_not(name):
    kind = type("Misspelt", (Mine,), {"family_name": name})
    with pytest.raises(ValueError, match=rf"family_name = {name!r}; families are .*'mean_field'"):
        vi.METHODS.register(name="misspelt")(kind)
    assert "misspelt" not in vi.METHODS


def test_an_approximation_without_the_init_of_the_class_above():
    class Blank(vi.Approximation):
        def __init__(self):
            pass

    assert repr(Blank()) == "<Blank without parameters>"
    assert repr(Mine.__new__(Mine)) == "<Mine without an approximation>"
    with pytest.raises(AttributeError, match=r"Blank has no parameters.*super\(\)"):
        vi.KLqp(Blank())
