"""Keyword arguments that nothing takes: refused in the name of what was called, with a way on."""

from __future__ import annotations

import re

import pytest
from problems import conjugate_normal

import vi
from vi.approximation.named import PointOptions, StartOptions

MODEL = conjugate_normal().model
QUIET = {"progressbar": False}
CLASSES = (
    *(
        vi.MeanField,
        vi.FullRank,
        vi.LowRank,
        vi.Structured,
        vi.Noncentred,
        vi.Mixture,
        vi.NormalizingFlow,
    ),
    *(
        vi.ADVI,
        vi.FullRankADVI,
        vi.LowRankADVI,
        vi.StructuredADVI,
        vi.NoncentredADVI,
        vi.NFVI,
        vi.ASVGD,
        vi.BaM,
        vi.DADVI,
    ),
    *(vi.Auto, vi.Laplace, vi.StructuredLaplace, vi.IntegratedLaplace, vi.Pathfinder),
)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_refuses_in_its_own_name(kind):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\) got .*keyword argument 'foo'\.$"):
        kind(model=MODEL, foo=3)
    with pytest.raises(TypeError, match=r"'modl'\. Did you mean model=\?$"):
        kind(modl=MODEL)


def test_a_subclass_refuses_in_its_own_name():
    class Mine(vi.ADVI):
        def __init__(self, **options):
            super().__init__(**options)

    with pytest.raises(TypeError, match=r"^Mine\(\) got"):
        Mine(model=MODEL, foo=3)


@pytest.mark.parametrize("kind", [vi.Laplace, vi.IntegratedLaplace, vi.Pathfinder])
def test_methods_that_choose_the_width_take_none(kind):
    assert PointOptions.__annotations__.keys() < StartOptions.__annotations__.keys()
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\) got .*'start_sigma'"):
        kind(model=MODEL, start_sigma={"mu": 1.0})


def test_a_mixture_says_where_the_base_is():
    with pytest.raises(TypeError, match=r"Mixture\(\).*'base'\. .*family=vi\.families\.FullRank"):
        vi.Mixture(model=MODEL, base=vi.families.StudentT())


@pytest.mark.parametrize(
    "call",
    [
        lambda: vi.fit(1, model=MODEL, local_rv={"z": 1}, **QUIET),
        lambda: vi.ADVI(model=MODEL, local_rv={"z": 1}),
        lambda: vi.MeanField(model=MODEL, local_rv={"z": 1}),
        lambda: vi.Group(["mu"], local_rv={"z": 1}),
    ],
)
def test_local_rv_is_a_local_group(call):
    with pytest.raises(TypeError, match=r"local_rv.*vi\.Group\(\[z\], local=True\)"):
        call()


@pytest.mark.parametrize("name", ["estimator", "obj_optimizer", "backend", "obj_n_mc", "score"])
def test_refine_keeps_what_the_fit_has(name):
    inference = vi.ADVI(model=MODEL, random_seed=1)
    inference.fit(1, **QUIET)
    before = inference.approx.record
    for call in (inference.refine, inference.approx.refine):
        with pytest.raises(TypeError, match=rf"the {name} of the fit.*vi\.KLqp\(approx"):
            call(1, **QUIET, **{name: "closed_form"})
        with pytest.raises(TypeError, match=r"refine\(\) got .*'progressbr'.*progressbar="):
            call(1, progressbr=False)
    assert inference.approx.record is before


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("dadvi", "in one go"),
        ("laplace", "in one go"),
        ("pathfinder", "in one go"),
        ("bam", "no steps along the gradient of an ELBO"),
        ("svgd", "no steps along the gradient of an ELBO"),
    ],
)
def test_an_estimator_where_nothing_is_estimated(method, why):
    with pytest.raises(TypeError, match=rf"^estimator='closed_form': .*{re.escape(why)}"):
        vi.fit(1, method, model=MODEL, estimator="closed_form", **QUIET)


def test_restarts_name_the_loss_that_is_no_elbo():
    with pytest.raises(TypeError, match=r"restarts=2: .*the loss of this fit is another: .*bound"):
        vi.fit(1, "advi", model=MODEL, estimator="importance_weighted", restarts=2, **QUIET)


def test_find_map_takes_the_progress_bar_of_pymc():
    assert vi.find_map(MODEL, n=50, random_seed=1, progressbar=False).keys() == {"mu"}
    with pytest.raises(TypeError, match="progressbar='no'"):
        vi.find_map(MODEL, progressbar="no")
