"""Code written for `pm.fit` runs: names, argument orders, warnings and refusals."""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal
from pymc.variational import ADVI as PymcADVI
from pymc.variational import fit as pymc_fit

import vi
from vi.inference import RunOptions
from vi.inference.pymc_arguments import RetiredOfFit

FIT = {"n": 5, "model": None, "progressbar": False, "random_seed": 1}


def fit(**options):
    return vi.fit(**FIT | {"model": conjugate_normal().model, "method": "advi"} | options)


def test_fit_takes_pymcs_arguments_in_pymcs_order():
    theirs = [
        p for p in inspect.signature(pymc_fit).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    ours = inspect.signature(vi.fit).parameters
    assert [p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    retired = RetiredOfFit.__annotations__
    assert {p.name for p in theirs} <= {*ours, *retired}
    assert [p.name for p in ours.values() if p.kind is p.VAR_KEYWORD] == ["retired"]
    assert not retired.keys() & ours.keys()


def test_inference_fit_takes_pymcs_arguments_in_pymcs_order():
    theirs = [
        p
        for p in inspect.signature(PymcADVI.fit).parameters.values()
        if p.kind is not p.VAR_KEYWORD
    ]
    ours = inspect.signature(vi.ADVI.fit).parameters
    assert [p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert {p.name for p in theirs} <= set(ours)


def test_every_option_of_fit_reaches_the_inference():
    """What the one-liner hands on is all that `Inference.fit` takes, with the same defaults."""
    one_liner, method = (
        inspect.signature(vi.fit).parameters,
        inspect.signature(vi.Inference.fit).parameters,
    )
    retired = {"self", "progressbar_theme", "retired"}
    for name in method.keys() - retired:
        assert one_liner[name].default == method[name].default, name
    assert set(inspect.signature(RunOptions.checked).parameters) == method.keys() - retired


@pytest.mark.parametrize("name", ["compile_kwargs", "fn_kwargs", "progressbar_theme"])
def test_options_without_effect_warn_and_say_what_replaces_them(name):
    with pytest.warns(UserWarning, match=name):
        fit(**{name: {"a": 1}})


@pytest.mark.parametrize(
    "name", ["test_optimizer", "more_obj_params", "more_tf_params", "more_updates"]
)
def test_options_that_cannot_be_supported_say_why(name):
    with pytest.raises(TypeError, match=f"{name} is not supported: .+"):
        fit(**{name: []})


def test_options_that_are_accepted():
    approx = fit(
        score=True,
        total_grad_norm_constraint=10.0,
        more_replacements={},
        include_transformed=True,
        scale_cost_to_minibatch=True,
        tf_n_mc=2,
        obj_n_mc=2,
        inf_kwargs={"beta": 1.0},
        callbacks=[],
        backend=None,
    )
    assert len(approx.hist) == 5


def test_a_typo_is_an_error():
    with pytest.raises(TypeError, match="obj_optimiser"):
        fit(obj_optimiser=vi.adam())
    with pytest.raises(TypeError, match="betta"):
        fit(inf_kwargs={"betta": 1.0})


@pytest.mark.parametrize("backend", ["numba", "c"])
def test_pymcs_backend_names_mean_pytensor(backend):
    assert fit(backend=backend).target().backend == "pytensor"


def test_methods():
    model = conjugate_normal().model
    assert isinstance(fit(method="FullRank_ADVI"), vi.FullRank)
    assert isinstance(fit(method=vi.FullRankADVI), vi.FullRank)
    with pytest.raises(ValueError, match="fullrank_advi"):
        fit(method="advy")
    with pytest.raises(TypeError, match="method"):
        fit(method=3)
    with pytest.raises(ValueError, match="model="):
        vi.fit(5, method=vi.ADVI(model=model), model=pm.Model(), progressbar=False)
    with pytest.raises(TypeError, match="dtype"):
        vi.fit(5, method=vi.ADVI(model=model), dtype="float32", progressbar=False)


def test_an_instance_goes_on_where_it_is():
    advi = vi.ADVI(model=conjugate_normal().model, random_seed=1)
    vi.fit(5, method=advi, progressbar=False)
    vi.fit(5, method=advi, progressbar=False)
    assert len(advi.hist) == 10


def test_model_from_context():
    with conjugate_normal().model:
        assert vi.fit(3, method="advi", progressbar=False).model is conjugate_normal().model


def test_profiling_leaves_the_run_alone():
    advi = vi.ADVI(model=conjugate_normal().model, random_seed=1)
    advi.fit(10, progressbar=False)
    before = advi.approx.iterate["mu"]
    profile = advi.run_profiling(100)
    assert profile.steps == 100
    assert profile.per_step > 0
    assert "jax.profiler" in str(profile)
    np.testing.assert_array_equal(before, advi.approx.iterate["mu"])
    assert len(advi.hist) == 10


PUBLIC = ["vi", *(f"vi.{name}" for name in vi.__all__ if inspect.ismodule(getattr(vi, name)))]
PUBLIC += ["vi.algorithms", "vi.diagnostics"]
"""The packages whose names are public: those of ``vi``, and two that parts are written with."""


def test_only_packages_are_public_modules():
    """A module that has the name of its one function is easily taken for it."""
    assert all(importlib.import_module(name).__path__ for name in PUBLIC)


DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("package", PUBLIC)
def test_everything_public_is_documented(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        item = getattr(module, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            assert inspect.getdoc(item), name


@pytest.fixture(scope="module")
def api():
    """The API page as it is built, and the functions that complete it."""
    return SimpleNamespace(**runpy.run_path(str(DOCS / "public_names.py")))


@pytest.fixture(scope="module")
def api_pages():
    """What makes the pages of the API reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return SimpleNamespace(**runpy.run_path(str(DOCS / "api_pages.py")))


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_on_the_api_page(api, package):
    page = api.completed((DOCS / "api.md").read_text())
    assert not api.undocumented(package, page)
    assert "public-names" not in page


def test_every_entry_of_the_api_page_exists_once(api):
    page = api.completed((DOCS / "api.md").read_text())
    for name in api.documented(page):
        assert api.resolved(name) is not None
    entries = re.findall(r"^\.\. auto(?!summary).*$", page, flags=re.MULTILINE)
    assert len(entries) >= len(api.documented(page)) > 100


def test_pages_of_sections_have_all_entries_once(api, api_pages):
    source = (DOCS / "api.md").read_text()
    found = [name for page in api_pages.pages(source).values() for name in api.documented(page)]
    assert found == api.documented(api.completed(source))
    assert len(set(found)) == len(found)


def test_the_index_leads_to_every_page_and_every_name(api, api_pages):
    source = (DOCS / "api.md").read_text()
    pages, index = api_pages.pages(source), api_pages.index(source)
    assert len(pages) > 5
    assert all(page.startswith("# ") for page in pages.values())
    linked = set(re.findall(r"\(/generated/api/([\w-]+)\.md\)", index))
    assert linked == set(pages)
    assert set(re.findall(r"\{py:obj\}`~([\w.]+)`", index)) == set(
        api.documented(api.completed(source))
    )


def test_a_name_that_is_on_no_page_is_seen(api):
    page = (DOCS / "api.md").read_text().replace(".. autoclass:: MeanField\n", "")
    assert "vi.families.MeanField" in api.undocumented("vi.families", page)
    assert ".. autoclass:: MeanField\n" in api.completed(page)


NAMES_OF_0_1_0 = {
    "vi": """
        ADVI ASVGD METHODS NFVI SVGD Approximation Converged DivergedError Empirical
        FullRank FullRankADVI Group Inference KLqp Laplace LowRank LowRankADVI
        MapPoint MeanField Minibatch NormalizingFlow Pathfinder PolynomialAverage
        Profile Status Stein __version__ adadelta adagrad adagrad_window adam adamax
        callbacks data families find_map fit kernels load momentum nesterov_momentum
        objectives optimizers rmsprop sample_approx scale_free_adam sgd targets
        testing wrap_jax
    """,
    "vi.callbacks": """
        Callback CheckParametersConvergence Tracker
    """,
    "vi.algorithms": """
        ALGORITHMS Algorithm Asked Descent Gradient Local LocalPart State Stein
    """,
    "vi.data": """
        ArraySource Block DataError DatasetSource Field FrameSource LoaderSource
        Minibatch MinibatchVariable ParquetSource Source Stream batches_of head
        source_from
    """,
    "vi.diagnostics": """
        change
    """,
    "vi.families": """
        BASES FAMILIES Base Elliptical Encoded Encoder Family Flow FullRank Laplace
        Logistic LowRank MeanField MultivariateT Noise Normal Params Part Particles
        PerRow Product StudentT
    """,
    "vi.kernels": """
        IMQ KERNELS RBF Kernel PairKernel RadialKernel kernel_from
    """,
    "vi.objectives": """
        ESTIMATORS ClosedFormEntropy ImportanceWeighted LogProb MonteCarlo Objective
        StickingTheLanding
    """,
    "vi.optimizers": """
        OPTIMIZERS Averaging Named PolynomialAverage adadelta adagrad adagrad_window
        adam adamax momentum nesterov_momentum rmsprop scale_free_adam sgd
    """,
    "vi.targets": """
        Backend Batch DensityModel Target from_function from_numpyro from_pymc
        wrap_jax
    """,
    "vi.testing": """
        check_algorithm check_callback check_family check_objective check_optimizer
        check_source
    """,
}


@pytest.mark.parametrize("package", list(NAMES_OF_0_1_0))
def test_public_names_of_0_1_0_are_still_there(package):
    module = importlib.import_module(package)
    names = NAMES_OF_0_1_0[package].split()
    assert not [name for name in names if not hasattr(module, name)]
    assert not [name for name in names if name not in module.__all__]
