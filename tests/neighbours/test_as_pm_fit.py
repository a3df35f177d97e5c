"""`vi.as_pm_fit`: `pm.fit` is `vi.fit` for a while, for everybody, and then it is PyMC's again."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import threading
from types import ModuleType

import numpy as np
import pymc as pm
import pymc.variational
import pymc.variational.inference
import pytest
from problems import conjugate_normal
from pymc import fit as by_name
from pymc.variational.callbacks import CheckParametersConvergence, Tracker

import vi

MODULE = sys.modules["vi.neighbours.as_pm_fit"]  # the package has the function of that name
(THEIRS,) = KEPT = (pm.fit,)  # inside, THEIRS is ours: this module is one as any other
HOMES = (pm, pymc.variational, pymc.variational.inference)


def homes() -> set[object]:
    return {home.fit for home in HOMES}


@pytest.fixture(autouse=True)
def undone():
    yield
    assert homes() == {*KEPT} == {THEIRS, by_name}


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """The arguments that reach `vi.fit`, which is not run."""
    seen: list[dict] = []

    @functools.wraps(vi.fit)
    def recorded(**arguments):
        seen.append(arguments)
        return f"fit {len(seen)}"

    monkeypatch.setattr(MODULE, "fit", recorded)
    return seen


def test_it_is_ours_under_every_name_and_undone(calls):
    with vi.as_pm_fit() as fits:
        assert by_name is pm.fit is THEIRS is not KEPT[0]
        assert len(homes()) == 1
        assert [pm.fit(5), by_name(n=6), pymc.variational.inference.fit(7)] == fits
    assert [call["n"] for call in calls] == [5, 6, 7]
    assert fits == ["fit 1", "fit 2", "fit 3"]


def test_it_is_undone_by_an_exception():
    with pytest.raises(KeyError, match="mine"), vi.as_pm_fit():
        raise KeyError("mine")
    assert homes() == {THEIRS}


def test_a_decorator_is_possible(calls):
    @vi.as_pm_fit("auto")
    def program():
        return pm.fit()

    assert [program(), program()] == ["fit 1", "fit 2"]
    assert pm.fit is THEIRS


def test_modules_that_import_it_meanwhile_get_pymcs_back(monkeypatch):
    late = ModuleType("late")
    monkeypatch.setitem(sys.modules, "late", late)
    with vi.as_pm_fit():
        exec("from pymc import fit\nkept = [fit]", vars(late))
        assert late.fit is pm.fit
    assert late.fit is THEIRS


def test_what_keeps_it_elsewhere_calls_pymcs_afterwards():
    with vi.as_pm_fit():
        kept = pm.fit
    with pytest.raises(KeyError, match="method should be one of"):  # PyMC's words
        kept(1, "no method", model=conjugate_normal().model)


def test_somebody_elses_replacement_is_left_alone(monkeypatch, calls):
    with vi.as_pm_fit():
        monkeypatch.setattr(pymc.variational, "fit", other := object())
    assert pymc.variational.fit is other
    assert pm.fit is THEIRS
    monkeypatch.undo()
    pymc.variational.fit = THEIRS


def test_lazily_imported_modules_are_not_loaded(monkeypatch):
    class Lazy(ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was looked at")

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "no_module", None)
    with vi.as_pm_fit():
        pass
    monkeypatch.undo()


def test_the_signature_is_kept():
    expected = inspect.signature(THEIRS)
    with vi.as_pm_fit("auto", restarts=1):
        assert inspect.signature(pm.fit) == expected
        assert pm.fit.__name__ == "fit"
        assert pm.fit.__doc__ == THEIRS.__doc__


def test_nested_the_inner_options_hold_and_then_the_outer_ones(calls):
    with vi.as_pm_fit("fullrank_advi", n=7) as outer:
        pm.fit()
        with vi.as_pm_fit(random_seed=3) as inner:
            pm.fit()
        pm.fit()
    assert [c["method"] for c in calls] == ["fullrank_advi", "advi", "fullrank_advi"]
    assert [c.get("n") for c in calls] == [7, None, 7]
    assert [c.get("random_seed") for c in calls] == [None, 3, None]
    assert (outer, inner) == (["fit 1", "fit 3"], ["fit 2"])


def test_left_in_another_order_each_takes_its_own(calls):
    first, second = vi.as_pm_fit(n=1), vi.as_pm_fit(n=2)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    pm.fit()
    second.__exit__(None, None, None)
    assert calls[0]["n"] == 2
    assert pm.fit is THEIRS


def test_a_second_thread_is_refused_and_calls_are_ours(calls):
    errors = []

    def enter():
        pm.fit(3)
        try:
            with vi.as_pm_fit():
                pass
        except RuntimeError as error:
            errors.append(str(error))

    with vi.as_pm_fit(n=9):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        pm.fit()
    assert "Another thread is inside" in errors[0]
    assert [call["n"] for call in calls] == [9, 9]


def test_threads_one_after_the_other(calls):
    def enter():
        with vi.as_pm_fit():
            pm.fit()

    for _ in range(3):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "no method"}, ValueError, "unknown; use"),
        ({"method": 3}, TypeError, "an Inference class"),
        ({"restart": 2}, TypeError, "Did you mean restarts="),
        ({"max_seconds": 3}, TypeError, "inf_kwargs={'max_seconds'"),
        ({"model": None}, TypeError, "each call of pm.fit says"),
        ({"init": 0}, TypeError, "each call of pm.fit says"),
        ({"n": -1}, ValueError, "at least 0"),
        ({"restarts": 0}, ValueError, "restarts"),
        ({"backend": "tpu"}, ValueError, "backend"),
        ({"callbacks": 3}, TypeError, "callback"),
        ({"method": "laplace", "restarts": 2}, TypeError, "has no steps"),
        ({"method": "auto", "obj_optimizer": vi.adam()}, TypeError, "settings of their own"),
        ({"method": "auto", "estimator": "monte_carlo"}, TypeError, "stages"),
        ({"method": "svgd", "estimator": "monte_carlo"}, TypeError, "gradient of an ELBO"),
        ({"method": "auto", "inf_kwargs": {"beta": 2}}, TypeError, "Auto does not take"),
        ({"inf_kwargs": {"bet": 2}}, TypeError, "Did you mean 'beta'"),
        ({"inf_kwargs": 3}, TypeError, "give a dict"),
        ({"test_optimizer": vi.adam()}, TypeError, "not supported"),
    ],
)
def test_options_are_refused_at_the_with_line(options, error, words):
    with pytest.raises(error, match=words):
        vi.as_pm_fit(**options)
    assert pm.fit is THEIRS


def test_an_inference_object_is_refused():
    method = vi.ADVI(model=conjugate_normal().model)
    with pytest.raises(TypeError, match="has a model already"):
        vi.as_pm_fit(method)


def test_options_that_some_method_takes_are_accepted(calls):
    with vi.as_pm_fit(inf_kwargs={"n_particles": 5}):
        pm.fit(method="svgd", inf_kwargs={"temperature": 2.0})
    assert calls[0]["inf_kwargs"] == {"n_particles": 5, "temperature": 2.0}


def test_without_a_method_it_is_advi(calls, caplog):
    caplog.set_level(logging.INFO, "vi")
    with vi.as_pm_fit():
        pm.fit(10)
        pm.fit(method=None)
        pm.fit(10, "fullrank_advi", start={"mu": 1.0}, backend="numba")
    assert [call["method"] for call in calls] == ["advi", "advi", "fullrank_advi"]
    assert calls[2] == {
        "n": 10,
        "method": "fullrank_advi",
        "start": {"mu": 1.0},
        "backend": "numba",
    }
    assert not caplog.messages


def test_the_options_go_before_the_call_and_the_log_says_so(calls, caplog):
    caplog.set_level(logging.INFO, "vi")
    with vi.as_pm_fit(vi.Auto, random_seed=5, inf_kwargs={"max_seconds": 60}):
        pm.fit(
            1000,
            method="ADVI",
            random_seed=1,
            obj_optimizer=pm.adam,
            inf_kwargs={"beta": 1.0},
            callbacks=[print],
        )
    assert calls == [
        {
            "n": 1000,
            "method": vi.Auto,
            "random_seed": 5,
            "callbacks": [print],
            "inf_kwargs": {"max_seconds": 60},
        }
    ]
    (said,) = caplog.messages
    assert "in place of 'ADVI'" in said
    assert "random_seed=5 in place of 1" in said
    assert said.endswith("left out of the call: obj_optimizer, beta.")


def test_what_a_method_without_steps_cannot_do_is_left_out(calls):
    with vi.as_pm_fit("laplace"):
        pm.fit(1000, callbacks=[print], obj_n_mc=3, progressbar=False)
        pm.fit(more_replacements={1: 2})  # data are never left out: the method refuses them
    assert calls[0] == {"n": 1000, "method": "laplace", "progressbar": False}
    assert calls[1]["more_replacements"] == {1: 2}


def test_a_check_of_another_methods_parameters_is_left_out(calls, caplog):
    caplog.set_level(logging.INFO, "vi")
    check, tracker = CheckParametersConvergence(diff="absolute"), Tracker(one=lambda: 1)
    with vi.as_pm_fit("auto"):
        pm.fit(callbacks=(check, tracker))
    with vi.as_pm_fit("advi"):
        pm.fit(callbacks=(check, tracker))
    assert [call["callbacks"] for call in calls] == [[tracker], (check, tracker)]
    (said,) = caplog.messages
    assert said.endswith("left out of the call: CheckParametersConvergence.")


def test_a_method_with_a_number_of_steps_of_its_own_keeps_it(calls):
    with vi.as_pm_fit("bam"):
        pm.fit(10_000)
    with vi.as_pm_fit("bam", n=80):
        pm.fit(10_000)
    assert [call.get("n") for call in calls] == [None, 80]


@pytest.mark.parametrize("call", [{"inf_kwargs": 3}, {"callbacks": print}, {"method": "no method"}])
def test_a_call_that_fit_refuses_is_refused_by_it(call):
    with vi.as_pm_fit(n=5), pytest.raises((TypeError, ValueError), match=next(iter(call))):
        pm.fit(model=conjugate_normal().model, progressbar=False, **call)
    with vi.as_pm_fit("auto"), pytest.raises(TypeError, match="callbacks"):
        pm.fit(model=conjugate_normal().model, callbacks=print)


def test_the_same_method_under_another_spelling_changes_nothing(calls, caplog):
    caplog.set_level(logging.INFO, "vi")
    with vi.as_pm_fit(vi.ADVI):
        pm.fit(method="Advi", obj_optimizer=pm.adam)
    assert calls[0]["obj_optimizer"] is pm.adam
    assert not caplog.messages


def test_pymcs_own_inference_objects_are_run_by_pymc(calls, caplog):
    caplog.set_level(logging.INFO, "vi")
    with conjugate_normal().model, vi.as_pm_fit("auto") as fits:
        theirs = pm.ADVI()
        approx = pm.fit(3, method=theirs, progressbar=False)
    assert approx is theirs.approx
    assert not calls
    assert not fits
    assert any("PyMC runs it" in message for message in caplog.messages)


def test_pymcs_callbacks_and_results():
    """A fit as a library writes it, with what it does to the result."""
    problem = conjugate_normal()
    tracker = Tracker(i=lambda approx, losses, i: i, mean=lambda a, *_: a.mean.eval())
    check = CheckParametersConvergence(every=50, diff="absolute", tolerance=1e9)
    with problem.model, vi.as_pm_fit(random_seed=1) as fits:
        approx = pm.fit(400, callbacks=[tracker, check], progressbar=False)
        losses = approx.hist
        for shared in approx.params:  # what HSSM does after a fit
            shared.container.storage[0] = np.asarray(shared.container.storage[0])
        tree = approx.sample(300, random_seed=2)
    assert approx is fits[0]
    assert isinstance(approx, vi.Approximation)
    assert approx.status.ending == "stopped"
    assert len(losses) == 50 == tracker["i"][-1]
    assert np.allclose(tracker["mean"][-1], approx.mean.eval())
    assert tree["posterior"].sizes["draw"] == 300
    before, after = approx.std.eval(), approx.sample(10, random_seed=2)
    assert np.isfinite(before).all()
    assert after["posterior"].sizes["draw"] == 10


def test_rewritten_parameter_storage_changes_no_draw():
    with conjugate_normal().model, vi.as_pm_fit(random_seed=1):
        approx = pm.fit(50, progressbar=False)
    before = approx.sample(20, random_seed=3)["posterior"].to_dataset()
    for shared in approx.params:
        shared.container.storage[0] = np.array(shared.container.storage[0])  # a copy, too
    after = approx.sample(20, random_seed=3)["posterior"].to_dataset()
    assert before.equals(after)
