"""All or nothing: a refused call leaves the record, and every later number, as it was."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytensor.tensor as pt
import pytest

import vi
from vi.data import ArraySource, Stream

ROWS = 60
QUIET = {"progressbar": False}


def model_of_rows() -> pm.Model:
    rng = np.random.default_rng(3)
    with pm.Model() as model:
        x = pm.Data("x", rng.normal(1.0, 1.0, ROWS))
        mu = pm.Normal("mu", 0.0, 10.0)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Normal("y", mu, sigma, observed=x, shape=x.shape)
    return model


def groups_of(model: pm.Model) -> vi.Approximation:
    groups = [vi.Group(["mu"]), vi.Group(["sigma"])]
    return vi.Approximation(groups, model=model, random_seed=1)


MODEL = model_of_rows()
DATA = {"x": np.random.default_rng(4).normal(2.0, 1.0, 400)}


@pytest.fixture(scope="module")
def fitted() -> vi.Inference:
    """A fit on data of its own in batches, with a callback: all that a refusal could lose."""
    inference = vi.KLqp(groups_of(MODEL))
    inference.fit(5, data=DATA, batch_size=20, callbacks=[lambda *_: None], backend="jax", **QUIET)
    return inference


@pytest.fixture
def inference(fitted: vi.Inference) -> vi.Inference:
    return vi.KLqp(copy.deepcopy(fitted.approx))


class NotAnOptimizer:
    """Has no update."""


def raising(**how):
    """What a callable argument may do: raise before anything is computed."""

    def function(*_, **__):
        raise RuntimeError("no")

    return function


class AlgorithmThatRaises(vi.Inference):
    """An inference whose algorithm cannot be made."""

    estimators = ("closed_form",)

    def algorithm(self, options):
        raise ValueError("no algorithm")


class OptimizerThatRaises(vi.KLqp):
    """An inference whose optimiser fails when traced: the last moment before the first step."""

    def algorithm(self, options):
        def update(updates, state, params=None):
            raise ValueError("traced")

        optimizer = optax.GradientTransformation(lambda params: (), update)
        return super().algorithm(replace(options, optimizer=optimizer))


# (method, arguments that it refuses): all of an inference object
OF_INFERENCE = {
    "fit": [
        {"n": -1},
        {"n": 2.5},
        {"n": True},
        {"callbacks": [3]},
        {"callbacks": print},
        {"backend": "torch"},
        {"obj_n_mc": 0},
        {"obj_optimizer": NotAnOptimizer()},
        {"averaging": "sometimes"},
        {"total_grad_norm_constraint": -1.0},
        {"more_replacements": {"x": 1.0}},
        {"more_replacements": {MODEL["mu"]: 1.0}},
        {"data": {"nothing": np.ones(5)}},
        {"data": {"x": np.ones((5, 2))}},
        {"data": {"x": np.array([1.0, np.nan])}},
        {"batch_size": 10},
        {"data": DATA, "batch_size": 0},
        {"data": DATA, "batch_size": 4_000},
        {"scale": {"z": 2.0}},
        {"data": DATA, "batch_size": 10, "scale": {"y": -2.0}},
        {"devices": "some"},
        {"devices": 10_000},
        {"mesh": "mesh"},
        {"restarts": 0},
        {"restarts": 2},
        {"restarts": 2, "data": None},
        {"diagnose": 3},
        {"diagnose": {"nothing": 1}},
        {"diagnose": {"chains": 1}},
        {"checkpoint": 3},
        {"checkpoint": "/nowhere/at/all/run.vi"},
        {"checkpoint": "run.vi", "every": 0},
        {"checkpoint": "run.vi", "keep": 0},
        {"checkpoint": "run.vi", "resume": "yes"},
        {"every": 10},
        {"tf_n_mc": 0},
        {"test_optimizer": 1},
        {"more_updates": {}},
        {"callback": []},
    ],
    "refine": [{"n": -1}, {"n": "3"}],
    "run_profiling": [{"n": 0}, {"n": 10, "backend": "torch"}],
}
OF_APPROXIMATION = {
    "refine": [
        {"n": -1},
        {"n": 2, "callbacks": [3]},
        {"n": 2, "data": {"nothing": np.ones(5)}},
        {"n": 2, "batch_size": 5},
        {"n": 2, "more_replacements": {"x": 1.0}},
        {"n": 2, "data": DATA, "scale": {"z": 1.0}},
        {"n": 2, "checkpoint": "/nowhere/at/all/run.vi"},
        {"n": 2, "checkpoint": "run.vi", "every": 2.5},
    ],
    "restart": [
        {"start": {"nothing": 1.0}},
        {"start": {"sigma": -1.0}},
        {"start_sigma": {"mu": -1.0}},
        {"random_seed": -1},
    ],
    "freeze": [{"groups": ("nothing",)}, {"groups": ("mu", "sigma")}, {"groups": ()}],
    "unfreeze": [{"groups": ("nothing",)}],
    "set_params": [
        {"params": {"nothing": 1.0}},
        {"params": {"mu": [0.0, 1.0, 2.0]}},
        {"params": 3},
    ],
    "change": [{"function": raising()}, {"function": lambda record: None}],
    "advance": [{"plan": raising(), "n": 3}, {"plan": lambda record: 3, "n": 3}],
    "sample": [
        {"draws": 0},
        {"draws": 2.5},
        {"random_seed": "x"},
        {"resample": "bootstrap"},
    ],
    "logp": [{"z": np.zeros(5)}],
    "logq": [{"z": np.zeros(5)}],
    "summary": [{"draws": 0}, {"draws": 10, "var_names": []}],
    "cov_lr": [{"draws": 3}, {"names": ["nothing"]}, {"random_seed": -1}],
    "diagnose": [{"draws": 3}, {"chains": 1}, {"random_seed": -1}],
    "sample_node": [
        {"node": "mu"},
        {"node": pt.constant(1.0)},
        {"node": MODEL["mu"], "size": 0},
        {"node": MODEL["mu"], "more_replacements": {"x": 1.0}},
    ],
    "sample_posterior_predictive": [{"idata": 3}],
    "compute_log_likelihood": [{"idata": 3}],
    "sample_mcmc": [{"draws": 0}, {"method": "gibbs"}, {"target_accept": 2.0}],
    "initvals": [{"chains": 0}],
    "nuts_step": [{"metric": "round"}],
    "save": [{"path": "/nowhere/at/all/x.vi"}],
    "target": [],
    "settings": [],
    "publish": [],
    "keep": [],
    "check_idle": [],
    "alone": [],
    "of_record": [],
}
CASES = [
    pytest.param(where, method, arguments, id=f"{where}.{method}-{i}")
    for where, table in (("inference", OF_INFERENCE), ("approx", OF_APPROXIMATION))
    for method, several in table.items()
    for i, arguments in enumerate(several)
]


def methods_of(kind: type) -> set[str]:
    return {
        name
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and (inspect.isfunction(value) or inspect.ismethod(value))
    }


def test_every_public_method_is_in_the_tables():
    assert methods_of(vi.Approximation) == set(OF_APPROXIMATION)
    # algorithm makes a value; run takes options that fit has checked, check_options checks them;
    # step has no arguments
    others = {"algorithm", "check_options", "run", "step"}
    assert methods_of(vi.Inference) == set(OF_INFERENCE) | others


@pytest.mark.parametrize(("where", "method", "arguments"), CASES)
def test_a_refused_call_changes_nothing(inference, where, method, arguments):
    approx = inference.approx
    before, shared = approx.record, [v.get_value() for v in approx.params]
    called = getattr(inference if where == "inference" else approx, method)
    positional = arguments.get("groups", ())
    named = {name: value for name, value in arguments.items() if name != "groups"}
    if method in ("fit", "refine"):
        named = QUIET | named
    with pytest.raises(Exception):  # noqa: B017, PT011 - which error it is, other tests say
        called(*positional, **named)
    assert approx.record is before
    for old, new in zip(shared, approx.params, strict=True):
        np.testing.assert_array_equal(old, new.get_value())
    approx.check_idle()


def bits(approx: vi.Approximation) -> list[np.ndarray]:
    approx.refine(3, **QUIET)
    return [approx.hist, *approx.iterate.values()]


def test_refine_after_refused_calls_is_the_same_to_the_bit(fitted):
    """What the table shows one by one, all at once: refused calls, then the run goes on."""
    undisturbed, disturbed = copy.deepcopy(fitted.approx), copy.deepcopy(fitted.approx)
    inference = vi.KLqp(disturbed)
    for arguments in OF_INFERENCE["fit"]:
        with pytest.raises((TypeError, ValueError, RuntimeError, OSError)):
            inference.fit(**{"n": 5} | QUIET | arguments)
    for a, b in zip(bits(undisturbed), bits(disturbed), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [AlgorithmThatRaises, OptimizerThatRaises])
def test_what_fails_before_the_first_step_changes_nothing(inference, kind):
    before = inference.approx.record
    with pytest.raises((TypeError, ValueError), match=r"no algorithm|cannot make a step.*traced"):
        kind(inference.approx).fit(5, backend="pytensor", callbacks=[print], **QUIET)
    assert inference.approx.record is before
    assert inference.approx.backend == "jax"


def test_a_refused_one_liner_does_not_restart(inference):
    before = inference.approx.record
    with pytest.raises(ValueError, match="backend"):
        vi.fit(5, inference, random_seed=7, start={"mu": 3.0}, backend="torch", **QUIET)
    with pytest.raises(TypeError, match="batch_size"):
        vi.fit(5, inference, random_seed=7, start={"mu": 3.0}, batch_size=3, **QUIET)
    assert inference.approx.record is before


@pytest.mark.slow
def test_profiling_changes_nothing(inference):
    before = inference.approx.record
    inference.run_profiling(5, backend="pytensor")
    assert inference.approx.record is before
    fresh = vi.ADVI(model=MODEL, random_seed=1)
    first = fresh.approx.record
    fresh.run_profiling(5)
    assert fresh.approx.record is first
    fresh.fit(3, restarts=2, **QUIET)  # it was never fitted


@pytest.mark.slow
def test_profiling_keeps_what_was_found_in_one_go():
    laplace = vi.fit(method="laplace", model=MODEL, random_seed=1)
    before = laplace.record
    vi.KLqp(laplace).run_profiling(5)
    assert laplace.record is before
    assert "log_evidence" in laplace.settings()


def test_a_failing_callback_keeps_what_was_done(inference):
    def fails(approx, losses, i):
        if i == 8:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        inference.fit(20, callbacks=[fails], **QUIET)
    assert (inference.status.ending, inference.status.step) == ("failed", 8)
    assert len(inference.hist) == 8
    inference.approx.refine(2, callbacks=[], **QUIET)
    assert inference.status.ending == "max_steps"


def test_losses_that_were_kept_stay_where_no_more_are_kept(inference):
    before = inference.hist.copy()
    inference.fit(3, score=False, **QUIET)
    np.testing.assert_array_equal(inference.hist, before)
    assert inference.status.step == len(before) + 3


def test_a_refused_call_leaves_shared_parameters_that_a_user_has_set(inference):
    shared = inference.approx.params[0]
    shared.set_value(shared.get_value() + 1.0)
    value = shared.get_value()
    with pytest.raises(ValueError, match="n=-1"):
        inference.approx.refine(-1)
    with pytest.raises(RuntimeError, match="no"):
        inference.approx.advance(raising(), 3)
    np.testing.assert_array_equal(shared.get_value(), value)


def test_a_change_from_a_callback_is_refused(inference):
    messages = []

    def meddle(approx, losses, i):
        for call in (
            lambda: approx.refine(1),
            approx.restart,
            lambda: approx.freeze("mu"),
            lambda: vi.KLqp(approx).fit(1),
            lambda: vi.KLqp(approx).run_profiling(1),
        ):
            with pytest.raises(RuntimeError, match="being fitted") as caught:
                call()
            messages.append(str(caught.value))

    inference.fit(1, callbacks=[meddle], **QUIET)
    assert len(messages) == 5


def test_of_two_threads_one_is_refused(inference):
    """However they meet: the check and the run are one."""
    outcomes = []
    gate = threading.Barrier(2)

    def refine():
        gate.wait()
        try:
            inference.approx.refine(20_000, callbacks=[], **QUIET)
            outcomes.append("done")
        except RuntimeError:
            outcomes.append("refused")

    threads = [threading.Thread(target=refine) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "refused"]
    assert len(inference.hist) == 20_005


# ---- copies ------------------------------------------------------------------------------------


def test_a_copy_in_mid_run_is_interrupted_and_independent(inference):
    copies = []
    inference.fit(4, callbacks=[lambda approx, losses, i: copies.append(copy.deepcopy(approx))])
    assert [c.status.ending for c in copies] == ["interrupted"] * 4
    assert [len(c.hist) for c in copies] == [6, 7, 8, 9]
    assert inference.status.ending == "max_steps"


def test_a_pickle_holds_the_record(inference):
    cloudpickle = pytest.importorskip("cloudpickle")
    twin = pickle.loads(cloudpickle.dumps(inference.approx))
    for a, b in zip(inference.approx.iterate.values(), twin.iterate.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert twin.record.callbacks == ()


# ---- divergence --------------------------------------------------------------------------------


def explosive(data: bool, local: bool = False) -> pm.Model:
    """A log density that is NaN once mu > 0.5, where the data pull it from 0."""
    with pm.Model() as model:
        rows: object = np.full(ROWS, 3.0)
        if data:
            rows = pm.Data("x", np.full(ROWS, 3.0))
        if local:
            rows = vi.Minibatch(np.full(ROWS, 3.0), batch_size=10)
        mu = pm.Normal("mu", 0.0, 1.0)
        mean = mu + 1e-6 * pt.log(0.5 - mu)
        if local:
            z = pm.Normal("z", 0.0, 1.0, shape=rows.shape[0])
            mean = mean + 0.1 * z
        pm.Normal("y", mean, 0.1, observed=rows, **({"total_size": ROWS} if local else {}))
    return model


START = {"start": {"mu": -3.0}, "start_sigma": {"mu": 0.01}, "random_seed": 1}


def diverge(kind: str) -> vi.Approximation:
    options: dict = {"n": 3_000, "obj_optimizer": vi.adam(0.05)} | QUIET
    if kind == "local":
        groups = [vi.Group(["z"], local=True), vi.Group(None)]
        approx = vi.Approximation(groups, model=explosive(False, local=True), **START)
        return vi.KLqp(approx).fit(**options)
    if kind == "stream":
        source = ArraySource({"x": np.full(ROWS, 3.0)})
        options |= {"data": Stream(source, 10)}
    options |= {"restarts": {"restarts": 2}, "devices": {"devices": 1}}.get(kind, {})
    return vi.ADVI(model=explosive(kind == "stream"), **START).fit(**options)


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["memory", "stream", "restarts", "devices", "local"])
def test_divergence_names_the_variable_and_keeps_the_last_good_state(kind):
    threads = threading.active_count()
    with pytest.raises(vi.DivergedError, match="mu") as caught:
        diverge(kind)
    approx = caught.value.approx
    assert approx.status.ending == "diverged"
    assert 0 < approx.status.step == int(approx.state.step) < 3_000
    assert all(np.all(np.isfinite(value)) for value in approx.iterate.values())
    assert np.all(np.isfinite(approx.sample(5)["posterior"]["mu"]))
    assert threading.active_count() == threads
    approx.check_idle()


def test_jax_is_float32_outside(inference):
    """What runs inside the library's precision leaves nothing behind, also where it is refused."""
    with pytest.raises(TypeError):
        inference.fit(5, batch_size=3, **QUIET)
    assert jnp.zeros(1).dtype == jnp.float32
